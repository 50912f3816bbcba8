"""Products as they are known here; Meta's catalogue is not read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "catalog")


@dataclass(frozen=True, slots=True)
class Product:
    """A product. `price` is a decimal as text, and in `price_source` who told it: route or order.

    `source` is order until a route writes the product; `last_ordered_at` is None where no order
    has named it.
    """

    catalog_id: str
    product_retailer_id: str
    name: str | None
    description: str | None
    price: str | None
    currency: str | None
    price_source: str | None
    image_url: str | None
    url: str | None
    availability: str | None
    is_active: bool
    source: str
    last_ordered_at: datetime | None
    created_at: datetime
    updated_at: datetime


def find(
    connection: Connection,
    tenant_id: UUID,
    *,
    after: tuple[str, str] | None = None,
    limit: int = 1,
    catalog_id: str | None = None,
    product: str | None = None,
    is_active: bool | None = None,
    source: str | None = None,
) -> list[Product]:
    """Return up to `limit` products after (catalog_id, product_retailer_id), in that order."""
    catalog, last = after or ("", "")
    parameters = {
        "tenant_id": tenant_id,
        "after": catalog,
        "after_product": last,
        "limit": limit,
        "catalog_id": catalog_id,
        "product": product,
        "is_active": is_active,
        "source": source,
    }
    return [Product(*row) for row in connection.execute(_SQL["list"], parameters)]


def write(
    connection: Connection,
    tenant_id: UUID,
    products: Sequence[dict[str, Any]],
    *,
    now: datetime | None,
) -> list[Product]:
    """Write a route's products (none twice), whole, and return them; what orders told stays."""
    parameters = {
        "tenant_id": tenant_id,
        "products": orjson.dumps(products).decode(),
        "now": now,
    }
    return [Product(*row) for row in connection.execute(_SQL["write"], parameters)]


def delete(connection: Connection, tenant_id: UUID, catalog_id: str, product: str) -> None:
    """Forget a product."""
    connection.execute(
        _SQL["delete"], {"tenant_id": tenant_id, "catalog_id": catalog_id, "product": product}
    )
