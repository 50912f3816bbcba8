"""The catalogue: what products are called and cost, so that people can read orders.

Meta's catalogue is not read. Callers write what they know; orders add ids and prices.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from switchboard.kernel.arguments import Arguments, read
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import NotFound, ProblemError, Unprocessable
from switchboard.kernel.page import Page, Paged, page_of, read_cursor
from switchboard.store import catalog as store
from switchboard.store.catalog import Product
from switchboard.tools import Tools
from switchboard.transact import transact

#: Products of one request.
MOST = 1_000


def _address(text: str) -> str:
    if not text.startswith(("https://", "http://")) or not text.isprintable():
        raise ValueError("must be an http or https address")
    return text


CatalogId = Annotated[str, StringConstraints(min_length=1, max_length=100)]
ProductId = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Url = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_address)]


class TheProduct(Arguments):
    """One product."""

    catalog_id: CatalogId = Field(description="Meta's id of the catalogue")
    product_retailer_id: ProductId = Field(description="the product's id in it (SKU)")


class NewProduct(TheProduct):
    """A product as it is from now on: what is left out is empty."""

    name: str | None = Field(None, min_length=1, max_length=200, description="what it is called")
    description: str | None = Field(None, max_length=10_000, description="what it is")
    price: Decimal | None = Field(
        None, ge=0, max_digits=18, decimal_places=4, description="of one, a decimal: 7.99"
    )
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = Field(
        None, description="ISO 4217; with a price, and not without one"
    )
    image_url: Url | None = Field(None, description="address of a picture")
    url: Url | None = Field(None, description="address of its page")
    availability: str | None = Field(
        None, min_length=1, max_length=50, description="Meta's word: in stock, out of stock, …"
    )
    is_active: bool = Field(default=True, description="false: not sold any more")

    @model_validator(mode="after")
    def _fits_together(self) -> NewProduct:
        if (self.price is None) != (self.currency is None):
            raise ValueError("price and currency go together")
        return self


class Products(Arguments):
    """Products to write, each read and answered by itself."""

    products: list[dict[str, Any]] = Field(
        min_length=1,
        max_length=MOST,
        description="each with catalog_id, product_retailer_id and what is known of it",
    )


class ProductFilter(Paged):
    """Which products."""

    catalog_id: CatalogId | None = Field(None, description="of this catalogue")
    product_retailer_id: ProductId | None = Field(None, description="with this id (SKU)")
    is_active: bool | None = Field(None, description="still sold, or not; left out: all")
    source: Literal["route", "order"] | None = Field(
        None, description="order: named by orders alone, so nobody has written what it is"
    )


@dataclass(frozen=True, slots=True)
class WriteResults:
    """What became of each, in order: the product or the problem, with its `status_code`."""

    results: list[dict[str, Any]]


def list_products(tools: Tools, tenant_id: UUID, wanted: ProductFilter) -> Page[Product]:
    """Return products by catalogue and id."""

    def work(connection: Connection) -> Page[Product]:
        after = read_cursor("catalog", wanted, 2)
        rows = store.find(
            connection,
            tenant_id,
            after=(after[0] or "", after[1] or "") if after else None,
            limit=wanted.limit + 1,
            catalog_id=wanted.catalog_id,
            product=wanted.product_retailer_id,
            is_active=wanted.is_active,
            source=wanted.source,
        )
        return page_of(
            "catalog", wanted, rows, lambda last: (last.catalog_id, last.product_retailer_id)
        )

    return transact(tools, tenant_id, work)


def write_products(tools: Tools, tenant_id: UUID, given: Products) -> WriteResults:
    """Write products as they are from now on; a wrong one costs itself alone."""
    results: list[dict[str, Any]] = []
    places: dict[tuple[str, str], int] = {}
    fitting: list[dict[str, Any]] = []
    for place, one in enumerate(given.products):
        try:
            product = read(NewProduct, one)
            key = (product.catalog_id, product.product_retailer_id)
            if key in places:
                raise Unprocessable(
                    f"the product stands in place {places[key]} already",
                    field="product_retailer_id",
                )
        except ProblemError as error:
            results.append(_told(error))
            continue
        places[key] = place
        results.append({})
        fitting.append(product.model_dump(mode="json"))
    if fitting:
        written = transact(
            tools,
            tenant_id,
            lambda connection: store.write(connection, tenant_id, fitting, now=tools.clock.now),
        )
        for row in written:
            place = places[row.catalog_id, row.product_retailer_id]
            results[place] = {"status_code": 200, **orjson.loads(orjson.dumps(row))}
    return WriteResults(results)


def delete_product(tools: Tools, tenant_id: UUID, which: TheProduct) -> Product:
    """Forget a product and return it as it was; the next order names it anew. Raises NotFound."""
    before: list[Product] = []

    def work(connection: Connection) -> Product:
        # Where the link was lost at the commit, the first run has deleted it.
        before[:] = (
            store.find(
                connection,
                tenant_id,
                catalog_id=which.catalog_id,
                product=which.product_retailer_id,
            )
            or before
        )
        if not before:
            raise NotFound("this product is not known")
        store.delete(connection, tenant_id, which.catalog_id, which.product_retailer_id)
        return before[0]

    return transact(tools, tenant_id, work)


def _told(error: ProblemError) -> dict[str, Any]:
    named = {} if error.field is None else {"field": error.field}
    return {"status_code": error.status, "title": error.title, "detail": error.detail, **named}
