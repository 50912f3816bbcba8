"""/v1/catalog: products as they are known here."""

from __future__ import annotations

from switchboard.access import Caller, Guarded
from switchboard.inbox import catalog
from switchboard.kernel.arguments import LIMIT, Nothing, read, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.tools import Tools

#: Bytes of a thousand products.
MOST = 5_000_000


def get_products(tools: Tools, caller: Caller, request: Request) -> Response:
    """List products."""
    wanted = read_query(catalog.ProductFilter, request.query)
    return reply(200, catalog.list_products(tools, caller.tenant_id, wanted))


def put_products(tools: Tools, caller: Caller, request: Request) -> Response:
    """Write products, each for itself."""
    given = read(catalog.Products, request.json(MOST))
    return reply(200, catalog.write_products(tools, caller.tenant_id, given))


def delete_product(tools: Tools, caller: Caller, request: Request) -> Response:
    """Forget a product, and show it as it was."""
    if request.body(LIMIT).strip():
        read(Nothing, request.json(LIMIT))
    which = read_query(catalog.TheProduct, request.query)
    return reply(200, catalog.delete_product(tools, caller.tenant_id, which))


ROUTES = {
    "GET /v1/catalog/products": Guarded("catalog:read", get_products),
    "PUT /v1/catalog/products": Guarded("catalog:write", put_products),
    "DELETE /v1/catalog/products": Guarded("catalog:write", delete_product),
}
