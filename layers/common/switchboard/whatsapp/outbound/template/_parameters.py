"""What is put into a template: values of texts, files of headers, what buttons need.

Meta's words are taken in either case, as its own samples write them, and sent in small letters.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from switchboard.whatsapp.outbound._base import Part, Word
from switchboard.whatsapp.outbound._limits import at_most, doubt, rule, strictly
from switchboard.whatsapp.outbound._media import Media
from switchboard.whatsapp.outbound.interactive.order_details import OrderDetailsParameters
from switchboard.whatsapp.outbound.interactive.product_list import Sections
from switchboard.whatsapp.outbound.location import Location

_BROKEN = re.compile(r"[\n\r\t]| {5}")

PARAMETERS = frozenset(
    {
        "text",
        "currency",
        "date_time",
        "image",
        "video",
        "document",
        "gif",
        "location",
        "product",
        "payload",
        "coupon_code",
        "action",
        "ttl_minutes",
        "limited_time_offer",
    }
)
"""Every type of parameter known here: in the wrong place it is refused."""


def small(word: Any) -> Any:
    """Return a word of Meta's in small letters."""
    return word.lower() if isinstance(word, str) else word


SMALL = BeforeValidator(small)


def _in_one_line(text: str) -> str:
    if _BROKEN.search(text):
        raise rule("has a line break, a tab or more than four spaces in a row")
    return text


Value = Annotated[
    str, Field(min_length=1), AfterValidator(_in_one_line), at_most(32_768, strictest=1_024)
]
"""A text in place of a variable: Meta's OpenAPI file names 32,768 characters, a body has 1,024."""


class Unknown(Part):
    """What Meta added later: it is passed as it is, with a warning."""

    model_config = ConfigDict(extra="allow")

    type: Word

    @model_serializer
    def _as_it_is(self) -> dict[str, Any]:
        return {"type": self.type, **(self.model_extra or {})}

    @model_validator(mode="after")
    def _is_doubtful(self, info: ValidationInfo) -> Unknown:
        if strictly(info):
            raise doubt("is of a type that is not known here: it is passed to Meta unchecked")
        return self


class Named(Part):
    """A value of a text. It has a `parameter_name` exactly where the template's variables have."""

    parameter_name: Word | None = None


class TextParameter(Named):
    """Words."""

    type: Annotated[Literal["text"], SMALL]
    text: Value


class Currency(Part):
    """A sum: `amount_1000` is the amount times a thousand."""

    fallback_value: Value
    code: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    amount_1000: int


class CurrencyParameter(Named):
    """A sum of money, written as the person's phone writes it."""

    type: Annotated[Literal["currency"], SMALL]
    currency: Currency


class DateTime(Part):
    """A date; Meta always shows `fallback_value` and takes parts of the date in vain."""

    model_config = ConfigDict(extra="allow")

    fallback_value: Value


class DateTimeParameter(Named):
    """A date."""

    type: Annotated[Literal["date_time"], SMALL]
    date_time: DateTime


class ImageParameter(Part):
    """A picture, without a caption."""

    type: Annotated[Literal["image"], SMALL]
    image: Media


class VideoParameter(Part):
    """A film, without a caption."""

    type: Annotated[Literal["video"], SMALL]
    video: Media


class GifParameter(Part):
    """A film that repeats itself; the messages route may refuse it."""

    type: Annotated[Literal["gif"], SMALL]
    gif: Media

    @model_validator(mode="after")
    def _is_for_marketing(self, info: ValidationInfo) -> GifParameter:
        if strictly(info):
            raise doubt("is a gif, which only Meta's marketing messages API is known to take")
        return self


class NamedFile(Media):
    """A file with the name that the person sees."""

    filename: Annotated[str, Field(min_length=1)] | None = None


class DocumentParameter(Part):
    """A file, without a caption."""

    type: Annotated[Literal["document"], SMALL]
    document: NamedFile


class LocationParameter(Part):
    """A place on the map."""

    type: Annotated[Literal["location"], SMALL]
    location: Location


class Product(Part):
    """One product of a catalogue."""

    product_retailer_id: Word
    catalog_id: Word


class ProductParameter(Part):
    """The product of a single-product template or of a card."""

    type: Annotated[Literal["product"], SMALL]
    product: Product


class PayloadParameter(Part):
    """What comes back in the webhook of a tap; without it, the button's label does."""

    type: Annotated[Literal["payload"], SMALL]
    payload: Word


class SuffixParameter(Part):
    """The end of a button's address, which has 2,000 characters in all."""

    type: Annotated[Literal["text"], SMALL]
    text: Annotated[str, Field(min_length=1), AfterValidator(_in_one_line), at_most(2_000)]


class CouponParameter(Part):
    """A code to copy: 15 characters, 20 since December 2025."""

    type: Annotated[Literal["coupon_code"], SMALL]
    coupon_code: Annotated[
        str, Field(min_length=1), AfterValidator(_in_one_line), at_most(20, strictest=15)
    ]


class FlowData(Part):
    """The flow's token (without one Meta says "unused") and what its first screen shows."""

    flow_token: Word | None = None
    flow_action_data: dict[str, Any] | None = None


class FlowParameter(Part):
    """How a flow begins."""

    type: Annotated[Literal["action"], SMALL]
    action: FlowData


class Thumbnail(Part):
    """The product whose picture stands for the catalogue; without one, its first."""

    thumbnail_product_retailer_id: Word | None = None


class CatalogParameter(Part):
    """How a catalogue looks."""

    type: Annotated[Literal["action"], SMALL]
    action: Thumbnail


class Products(Thumbnail):
    """Up to ten sections with thirty products in all."""

    sections: Sections


class ProductsParameter(Part):
    """Which products there are."""

    type: Annotated[Literal["action"], SMALL]
    action: Products


class Bill(Part):
    """An order to be paid, as in an interactive message."""

    order_details: OrderDetailsParameters


class BillParameter(Part):
    """What is to be paid."""

    type: Annotated[Literal["action"], SMALL]
    action: Bill


class MinutesParameter(Part):
    """For how long the call button works."""

    type: Annotated[Literal["ttl_minutes"], SMALL]
    ttl_minutes: Annotated[int, Field(ge=1, le=43_200)]


class Offer(Part):
    """When the offer ends, in Unix milliseconds."""

    expiration_time_ms: Annotated[int, Field(ge=0)]


class OfferParameter(Part):
    """The end of a limited-time offer."""

    type: Annotated[Literal["limited_time_offer"], SMALL]
    limited_time_offer: Offer


def told_apart(known: frozenset[str], *expected: str, by: str = "type") -> Discriminator:
    """Return how to tell a union's members apart: by a word of Meta's, in either case.

    A member's tag is its word in angle brackets: no object has such a key, so that a fault's place
    is told right. A word that is `known`, but not `expected` here, is refused; any other is
    Unknown's.
    """

    def tag(value: Any) -> str | None:
        word = small(value.get(by) if isinstance(value, dict) else getattr(value, by, None))
        if word in expected:
            return f"<{word}>"
        return "<unknown>" if isinstance(word, str) and word and word not in known else None

    return Discriminator(
        tag,
        custom_error_type="rule",
        custom_error_message="needs as its {by} one of {expected}",
        custom_error_context={"by": by, "expected": ", ".join(expected)},
    )


HeaderParameter = Annotated[
    Annotated[TextParameter, Tag("<text>")]
    | Annotated[ImageParameter, Tag("<image>")]
    | Annotated[VideoParameter, Tag("<video>")]
    | Annotated[DocumentParameter, Tag("<document>")]
    | Annotated[GifParameter, Tag("<gif>")]
    | Annotated[LocationParameter, Tag("<location>")]
    | Annotated[ProductParameter, Tag("<product>")]
    | Annotated[Unknown, Tag("<unknown>")],
    told_apart(PARAMETERS, "text", "image", "video", "document", "gif", "location", "product"),
]
BodyParameter = Annotated[
    Annotated[TextParameter, Tag("<text>")]
    | Annotated[CurrencyParameter, Tag("<currency>")]
    | Annotated[DateTimeParameter, Tag("<date_time>")]
    | Annotated[Unknown, Tag("<unknown>")],
    told_apart(PARAMETERS, "text", "currency", "date_time"),
]
CallParameter = Annotated[
    Annotated[MinutesParameter, Tag("<ttl_minutes>")]
    | Annotated[PayloadParameter, Tag("<payload>")]
    | Annotated[Unknown, Tag("<unknown>")],
    told_apart(PARAMETERS, "ttl_minutes", "payload"),
]
