"""/v1/prices: what Meta charges, imported by cards."""

from __future__ import annotations

from switchboard.access import Caller, Guarded
from switchboard.kernel.arguments import LIMIT, Nothing, read, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.prices import table
from switchboard.tools import Tools

#: Bytes of a table: what Lambda takes of a body, and API Gateway may have written in base64.
TABLE_LIMIT = 4_500_000


def get_prices(tools: Tools, caller: Caller, request: Request) -> Response:
    """List rates."""
    wanted = read_query(table.PriceFilter, request.query)
    return reply(200, table.list_prices(tools, caller.tenant_id, wanted))


def put_prices(tools: Tools, caller: Caller, request: Request) -> Response:
    """Replace cards: JSON, or a CSV file as text/csv."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "text/csv":
        done = table.import_rates(tools, caller.tenant_id, request.body(TABLE_LIMIT))
    else:
        new = read(table.NewRates, request.json(TABLE_LIMIT))
        done = table.put_rates(tools, caller.tenant_id, new)
    return reply(200, done)


def delete_card(tools: Tools, caller: Caller, request: Request) -> Response:
    """Forget all rates of a currency and a day."""
    if request.body(LIMIT).strip():
        read(Nothing, request.json(LIMIT))
    card = read_query(table.Card, request.query)
    return reply(200, table.delete_card(tools, caller.tenant_id, card))


ROUTES = {
    "GET /v1/prices": Guarded("prices:read", get_prices),
    "PUT /v1/prices": Guarded("prices:write", put_prices),
    "DELETE /v1/prices": Guarded("prices:write", delete_card),
}
