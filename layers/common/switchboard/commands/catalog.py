"""catalog: products as they are known here."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from switchboard.commands._given import Object
from switchboard.commands._resource import Command, Resource
from switchboard.inbox import catalog
from switchboard.inbox.catalog import MOST, ProductFilter, Products, TheProduct, WriteResults
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.page import Page
from switchboard.store.catalog import Product
from switchboard.tools import Tools


class GivenProducts(Arguments):
    """Products to write."""

    products: list[Object] = Field(
        min_length=1, max_length=MOST, description="each as JSON, or @ and the path of a file"
    )


def list_products(tools: Tools, tenant_id: UUID, wanted: ProductFilter) -> Page[Product]:
    """List products by catalogue and id."""
    return catalog.list_products(tools, tenant_id, wanted)


def write_products(tools: Tools, tenant_id: UUID, given: GivenProducts) -> WriteResults:
    """Write products as they are from now on; a wrong one costs itself alone."""
    return catalog.write_products(tools, tenant_id, Products(products=given.products))


def delete_product(tools: Tools, tenant_id: UUID, which: TheProduct) -> Product:
    """Forget a product, and show it as it was."""
    return catalog.delete_product(tools, tenant_id, which)


_MUG = '{"catalog_id": "880200000000001", "product_retailer_id": "mug", "name": "Mug"}'
KIND = Resource(
    "catalog",
    "products as they are known here",
    (
        Command(
            "list",
            ProductFilter,
            list_products,
            "--source order",
            ("catalog_id", "product_retailer_id", "name", "price", "currency", "is_active"),
        ),
        Command("write", GivenProducts, write_products, f"--products '{_MUG}'"),
        Command(
            "delete",
            TheProduct,
            delete_product,
            "--catalog-id 880200000000001 --product-retailer-id mug",
        ),
    ),
)
