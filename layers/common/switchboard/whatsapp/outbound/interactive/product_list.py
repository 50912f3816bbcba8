"""Up to thirty products of a catalogue; an order comes back as a message of type `order`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from switchboard.whatsapp.outbound._base import Part, Word
from switchboard.whatsapp.outbound._limits import at_most, rule
from switchboard.whatsapp.outbound.interactive._parts import (
    Body,
    Footer,
    InteractiveMessage,
    TextHeader,
    too_many,
)

_PRODUCTS = 30


class ProductItem(Part):
    """One product, by the catalogue's content id."""

    product_retailer_id: Word


class ProductSection(Part):
    """Products under a title of up to 24 characters, which only a single section may lack."""

    title: Annotated[str, at_most(24)] | None = None
    product_items: Annotated[list[ProductItem], Field(min_length=1)]


def _together(sections: list[ProductSection]) -> list[ProductSection]:
    products = sum(len(section.product_items) for section in sections)
    if products > _PRODUCTS:
        raise too_many(products, _PRODUCTS, "products")
    if len(sections) > 1 and not all(section.title for section in sections):
        raise rule("need a title each where there are several")
    return sections


Sections = Annotated[
    list[ProductSection], Field(min_length=1, max_length=10), AfterValidator(_together)
]


class ProductListAction(Part):
    """Up to ten sections with thirty products in all."""

    catalog_id: Word
    sections: Sections


class ProductList(Part):
    """Cloud API, Share products; the header must be there and be text."""

    type: Literal["product_list"] = "product_list"
    header: TextHeader
    body: Body
    footer: Footer | None = None
    action: ProductListAction


class ProductListMessage(InteractiveMessage):
    """Several products."""

    interactive: ProductList


MODEL = ProductListMessage
