"""The whole catalogue behind a button; an order comes back as a message of type `order`."""

from __future__ import annotations

from typing import Literal

from switchboard.whatsapp.outbound._base import Part, Word
from switchboard.whatsapp.outbound.interactive._parts import Body, Footer, InteractiveMessage


class Thumbnail(Part):
    """The product whose picture is shown; without it, the catalogue's first."""

    thumbnail_product_retailer_id: Word


class CatalogAction(Part):
    """Meta's pages need no parameters, its OpenAPI file does."""

    name: Literal["catalog_message"] = "catalog_message"
    parameters: Thumbnail | None = None


class Catalog(Part):
    """Cloud API, Share products, catalog messages: Meta makes the header."""

    type: Literal["catalog_message"] = "catalog_message"
    body: Body
    footer: Footer | None = None
    action: CatalogAction


class CatalogMessage(InteractiveMessage):
    """The catalogue."""

    interactive: Catalog


MODEL = CatalogMessage
