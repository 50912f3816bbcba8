"""Two to ten cards side by side: pictures or films with a button, or products."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from switchboard.whatsapp.outbound._base import Part, Word
from switchboard.whatsapp.outbound._limits import at_most, rule
from switchboard.whatsapp.outbound._media import Media
from switchboard.whatsapp.outbound.interactive._parts import (
    Body,
    InteractiveMessage,
    twice,
)
from switchboard.whatsapp.outbound.interactive.button import ButtonReply
from switchboard.whatsapp.outbound.interactive.cta_url import UrlButton

Index = Annotated[int, Field(ge=0, le=9)]


class CardHeader(Part):
    """A picture or a film."""

    type: Literal["image", "video"]
    image: Media | None = None
    video: Media | None = None

    @model_validator(mode="after")
    def _is_of_its_type(self) -> CardHeader:
        if (self.image is None) == (self.type == "image") or (self.video is None) == (
            self.type == "video"
        ):
            raise rule(f"of type {self.type} needs {self.type} and nothing else")
        return self


def _short(text: str) -> str:
    if text.count("\n") > 2:
        raise rule("has more than two line breaks")
    return text


class CardBody(Part):
    """Up to 160 characters and two line breaks."""

    text: Annotated[str, Field(min_length=1), at_most(160), AfterValidator(_short)]


class QuickReply(Part):
    """A button of a card; a tap comes back as for reply buttons."""

    type: Literal["quick_reply"] = "quick_reply"
    quick_reply: ButtonReply


class CardAction(Part):
    """A link, or one to three quick replies."""

    name: Literal["cta_url"] | None = None
    parameters: UrlButton | None = None
    buttons: Annotated[list[QuickReply], Field(min_length=1, max_length=3)] | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> CardAction:
        is_link = self.name is not None and self.parameters is not None and self.buttons is None
        is_reply = self.name is None and self.parameters is None and self.buttons is not None
        if not is_link and not is_reply:
            raise rule("needs either name and parameters or buttons")
        return self


class MediaCard(Part):
    """Cloud API, Interactive media carousel messages, card object."""

    card_index: Index
    type: Literal["cta_url"] = "cta_url"
    header: CardHeader
    body: CardBody | None = None
    action: CardAction


class CardProduct(Part):
    """Which product; all cards are of one catalogue."""

    product_retailer_id: Word
    catalog_id: Word


class ProductCard(Part):
    """Cloud API, Interactive product carousel messages, card object."""

    card_index: Index
    type: Literal["product"]
    action: CardProduct


Card = Annotated[MediaCard | ProductCard, Field(discriminator="type")]


def _alike(cards: list[MediaCard | ProductCard]) -> list[MediaCard | ProductCard]:
    if twice(card.card_index for card in cards):
        raise rule("have one card_index twice")
    if len({card.type for card in cards}) > 1:
        raise rule("are not of one type")
    if len({card.header.type for card in cards if isinstance(card, MediaCard)}) > 1:
        raise rule("have headers of different types")
    if len({card.action.catalog_id for card in cards if isinstance(card, ProductCard)}) > 1:
        raise rule("are of different catalogues")
    return cards


class CarouselAction(Part):
    """The cards, all of one type."""

    cards: Annotated[list[Card], Field(min_length=2, max_length=10), AfterValidator(_alike)]


class Carousel(Part):
    """Cloud API, Interactive carousel messages: no header and no footer outside the cards."""

    type: Literal["carousel"] = "carousel"
    body: Body
    action: CarouselAction


class CarouselMessage(InteractiveMessage):
    """Cards to swipe through."""

    interactive: Carousel


MODEL = CarouselMessage
