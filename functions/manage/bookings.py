"""/v1/bookings: what internal services say of bookings, under their own external ids."""

from __future__ import annotations

from switchboard.access import Caller, Guarded
from switchboard.facts import bookings
from switchboard.facts.given import TheFact
from switchboard.kernel.arguments import LIMIT, Nothing, read, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.tools import Tools

#: Bytes of a thousand bookings.
MOST = 5_000_000


def get_bookings(tools: Tools, caller: Caller, request: Request) -> Response:
    """List bookings."""
    wanted = read_query(bookings.BookingFilter, request.query)
    return reply(200, bookings.list_bookings(tools, caller.tenant_id, wanted))


def get_booking(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show a booking."""
    return reply(200, bookings.show_booking(tools, caller.tenant_id, _which(request)))


def put_booking(tools: Tools, caller: Caller, request: Request) -> Response:
    """Write a booking whole."""
    state = read(bookings.BookingState, request.json(LIMIT))
    external_id = _which(request).external_id
    return reply(200, bookings.put_booking(tools, caller.tenant_id, external_id, state))


def post_bulk(tools: Tools, caller: Caller, request: Request) -> Response:
    """Write up to a thousand bookings, each for itself."""
    items = bookings.read_bookings(request.json(MOST))
    return reply(200, bookings.write_bookings(tools, caller.tenant_id, items))


def delete_booking(tools: Tools, caller: Caller, request: Request) -> Response:
    """Forget a booking, and show it as it was."""
    if request.body(LIMIT).strip():
        read(Nothing, request.json(LIMIT))
    return reply(200, bookings.delete_booking(tools, caller.tenant_id, _which(request)))


def _which(request: Request) -> TheFact:
    # Whatever stands there is unknown or refused, as the route has it.
    return TheFact.model_construct(external_id=request.path.get("external_id", ""))


_ONE = "/v1/bookings/{external_id}"
ROUTES = {
    "GET /v1/bookings": Guarded("facts:read", get_bookings),
    f"GET {_ONE}": Guarded("facts:read", get_booking),
    f"PUT {_ONE}": Guarded("facts:write", put_booking),
    f"DELETE {_ONE}": Guarded("facts:write", delete_booking),
    "POST /v1/bookings/bulk": Guarded("facts:write", post_bulk),
}
