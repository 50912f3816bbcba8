"""The parts of a template that take values: header, body, buttons, the end of an offer, cards."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    Tag,
)

from switchboard.whatsapp.outbound._base import Part
from switchboard.whatsapp.outbound._limits import rule
from switchboard.whatsapp.outbound.interactive._parts import twice
from switchboard.whatsapp.outbound.template._parameters import (
    SMALL,
    BillParameter,
    BodyParameter,
    CallParameter,
    CatalogParameter,
    CouponParameter,
    FlowParameter,
    HeaderParameter,
    Named,
    OfferParameter,
    PayloadParameter,
    ProductsParameter,
    SuffixParameter,
    Unknown,
    small,
    told_apart,
)

_BUTTONS = (
    "quick_reply",
    "url",
    "copy_code",
    "flow",
    "catalog",
    "mpm",
    "order_details",
    "voice_call",
)
_PLACES = ("header", "body", "button")
_COMPONENTS = frozenset({*_PLACES, "limited_time_offer", "carousel"})


def _one_word(index: Any) -> Any:
    """Return a whole number as Meta's OpenAPI file writes it, as a string."""
    if isinstance(index, int) and not isinstance(index, bool):
        return str(index)
    return index


def _place(index: str) -> str:
    if not re.fullmatch(r"[0-9]", index):
        raise rule("is no place of a button, 0 to 9")
    return index


Index = Annotated[str, BeforeValidator(_one_word), AfterValidator(_place)]


def _each_name_once(parameters: list[Any]) -> list[Any]:
    if twice(one.parameter_name for one in parameters if getattr(one, "parameter_name", None)):
        raise rule("have one parameter_name twice")
    return parameters


class Header(Part):
    """A file, a place, a product, or the one variable of its text."""

    type: Annotated[Literal["header"], SMALL]
    parameters: Annotated[list[HeaderParameter], Field(min_length=1, max_length=1)]


class Body(Part):
    """The values of the text's variables."""

    type: Annotated[Literal["body"], SMALL]
    parameters: Annotated[list[BodyParameter], AfterValidator(_each_name_once)] | None = None


class Button(Part):
    """A button that needs something; `index` counts the template's buttons from 0."""

    type: Annotated[Literal["button"], SMALL]
    index: Index


class QuickReply(Button):
    """A tap comes back as a message of type `button`."""

    sub_type: Annotated[Literal["quick_reply"], SMALL]
    parameters: Annotated[list[PayloadParameter], Field(min_length=1, max_length=1)]


class UrlButton(Button):
    """An address with a variable at its end; a one-time password's button is one, too."""

    sub_type: Annotated[Literal["url"], SMALL]
    parameters: Annotated[list[SuffixParameter], Field(min_length=1, max_length=1)]


class CopyCode(Button):
    """A coupon to copy."""

    sub_type: Annotated[Literal["copy_code"], SMALL]
    parameters: Annotated[list[CouponParameter], Field(min_length=1, max_length=1)]


class FlowButton(Button):
    """Opens a flow."""

    sub_type: Annotated[Literal["flow"], SMALL]
    parameters: Annotated[list[FlowParameter], Field(min_length=1, max_length=1)]


class CatalogButton(Button):
    """Opens the catalogue."""

    sub_type: Annotated[Literal["catalog"], SMALL]
    parameters: Annotated[list[CatalogParameter], Field(min_length=1, max_length=1)]


class ProductsButton(Button):
    """Opens a choice of products."""

    sub_type: Annotated[Literal["mpm"], SMALL]
    parameters: Annotated[list[ProductsParameter], Field(min_length=1, max_length=1)]


class BillButton(Button):
    """Opens a bill."""

    sub_type: Annotated[Literal["order_details"], SMALL]
    parameters: Annotated[list[BillParameter], Field(min_length=1, max_length=1)]


class CallButton(Button):
    """Calls the business."""

    sub_type: Annotated[Literal["voice_call"], SMALL]
    parameters: Annotated[list[CallParameter], Field(min_length=1, max_length=2)]


class NewButton(Unknown):
    """A kind of button that Meta added later."""


AnyButton = Annotated[
    Annotated[QuickReply, Tag("<quick_reply>")]
    | Annotated[UrlButton, Tag("<url>")]
    | Annotated[CopyCode, Tag("<copy_code>")]
    | Annotated[FlowButton, Tag("<flow>")]
    | Annotated[CatalogButton, Tag("<catalog>")]
    | Annotated[ProductsButton, Tag("<mpm>")]
    | Annotated[BillButton, Tag("<order_details>")]
    | Annotated[CallButton, Tag("<voice_call>")]
    | Annotated[NewButton, Tag("<unknown>")],
    # Meta refuses a phone_number by name: that button takes nothing.
    told_apart(frozenset({"phone_number"}), *_BUTTONS, by="sub_type"),
]


class OfferEnd(Part):
    """When a limited-time offer ends."""

    type: Annotated[Literal["limited_time_offer"], SMALL]
    parameters: Annotated[list[OfferParameter], Field(min_length=1, max_length=1)]


def _fits(components: list[Any]) -> list[Any]:
    """Refuse two headers or bodies, two components of one button, a mixture of names and order."""
    kinds = [small(one.type) for one in components if not isinstance(one, Unknown | Button)]
    if twice(kinds):
        raise rule("have one type twice, which only buttons may")
    if twice(one.index for one in components if isinstance(one, Button)):
        raise rule("have one button's index twice")
    names = {one.parameter_name is not None for one in _values(components)}
    if len(names) > 1:
        raise rule("mix parameters with and without a parameter_name")
    return components


def _values(components: Iterable[Any]) -> Iterator[Named]:
    """Yield what stands for a variable of a text, cards included."""
    for one in components:
        if isinstance(one, Header | Body):
            yield from (value for value in one.parameters or () if isinstance(value, Named))
        elif isinstance(one, Carousel):
            for card in one.cards:
                yield from _values(card.components)


CardComponent = Annotated[
    Annotated[Header, Tag("<header>")]
    | Annotated[Body, Tag("<body>")]
    | Annotated[AnyButton, Tag("<button>")]
    | Annotated[Unknown, Tag("<unknown>")],
    told_apart(_COMPONENTS, *_PLACES),
]


class Card(Part):
    """One card: what its header, body and buttons need."""

    card_index: Annotated[int, Field(ge=0, le=9)]
    components: Annotated[list[CardComponent], Field(min_length=1), AfterValidator(_fits)]


def _each_card_once(cards: list[Card]) -> list[Card]:
    if twice(card.card_index for card in cards):
        raise rule("have one card_index twice")
    return cards


class Carousel(Part):
    """Two to ten cards, as many as the template has."""

    type: Annotated[Literal["carousel"], SMALL]
    cards: Annotated[
        list[Card], Field(min_length=2, max_length=10), AfterValidator(_each_card_once)
    ]


AnyComponent = Annotated[
    Annotated[Header, Tag("<header>")]
    | Annotated[Body, Tag("<body>")]
    | Annotated[AnyButton, Tag("<button>")]
    | Annotated[OfferEnd, Tag("<limited_time_offer>")]
    | Annotated[Carousel, Tag("<carousel>")]
    | Annotated[Unknown, Tag("<unknown>")],
    told_apart(_COMPONENTS, *_PLACES, "limited_time_offer", "carousel"),
]
Components = Annotated[list[AnyComponent], AfterValidator(_fits)]
