"""/v1/trips: what internal services say of trips, under their own external ids."""

from __future__ import annotations

from switchboard.access import Caller, Guarded
from switchboard.facts import trips
from switchboard.facts.given import TheFact
from switchboard.kernel.arguments import LIMIT, Nothing, read, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.tools import Tools

#: Bytes of a thousand trips.
MOST = 5_000_000


def get_trips(tools: Tools, caller: Caller, request: Request) -> Response:
    """List trips."""
    wanted = read_query(trips.TripFilter, request.query)
    return reply(200, trips.list_trips(tools, caller.tenant_id, wanted))


def get_trip(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show a trip."""
    return reply(200, trips.show_trip(tools, caller.tenant_id, _which(request)))


def put_trip(tools: Tools, caller: Caller, request: Request) -> Response:
    """Write a trip whole."""
    state = read(trips.TripState, request.json(LIMIT))
    external_id = _which(request).external_id
    return reply(200, trips.put_trip(tools, caller.tenant_id, external_id, state))


def post_bulk(tools: Tools, caller: Caller, request: Request) -> Response:
    """Write up to a thousand trips, each for itself."""
    items = trips.read_trips(request.json(MOST))
    return reply(200, trips.write_trips(tools, caller.tenant_id, items))


def delete_trip(tools: Tools, caller: Caller, request: Request) -> Response:
    """Forget a trip, and show it as it was."""
    if request.body(LIMIT).strip():
        read(Nothing, request.json(LIMIT))
    return reply(200, trips.delete_trip(tools, caller.tenant_id, _which(request)))


def _which(request: Request) -> TheFact:
    # Whatever stands there is unknown or refused, as the route has it.
    return TheFact.model_construct(external_id=request.path.get("external_id", ""))


_ONE = "/v1/trips/{external_id}"
ROUTES = {
    "GET /v1/trips": Guarded("facts:read", get_trips),
    f"GET {_ONE}": Guarded("facts:read", get_trip),
    f"PUT {_ONE}": Guarded("facts:write", put_trip),
    f"DELETE {_ONE}": Guarded("facts:write", delete_trip),
    "POST /v1/trips/bulk": Guarded("facts:write", post_bulk),
}
