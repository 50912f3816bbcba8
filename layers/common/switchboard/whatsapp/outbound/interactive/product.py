"""One product of a catalogue; an order comes back as a message of type `order`."""

from __future__ import annotations

from typing import Literal

from switchboard.whatsapp.outbound._base import Part, Word
from switchboard.whatsapp.outbound.interactive._parts import Body, Footer, InteractiveMessage


class ProductAction(Part):
    """Which one."""

    catalog_id: Word
    product_retailer_id: Word


class Product(Part):
    """Cloud API, Share products: Meta shows the product's own picture as the header."""

    type: Literal["product"] = "product"
    body: Body | None = None
    footer: Footer | None = None
    action: ProductAction


class ProductMessage(InteractiveMessage):
    """A product."""

    interactive: Product


MODEL = ProductMessage
