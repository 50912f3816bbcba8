"""A picture."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from switchboard.whatsapp.outbound._base import Part, Reply, Word


def _web_address(link: str) -> str:
    try:
        parts = urlsplit(link)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.netloc or not link.isprintable():
        raise PydanticCustomError("link", "is no http or https address")
    return link


Link = Annotated[str, AfterValidator(_web_address)]


class Media(Part):
    """Cloud API, Messages, media object: exactly one of an uploaded `id` and a public `link`."""

    id: Word | None = None
    link: Link | None = None

    @model_validator(mode="after")
    def _has_one_source(self) -> Media:
        if (self.id is None) == (self.link is None):
            raise PydanticCustomError("source", "needs exactly one of id and link")
        return self


class Image(Media):
    """Cloud API, Messages, image: jpeg or png up to 5 MB, with up to 1,024 characters below it."""

    caption: Annotated[str, Field(max_length=1_024)] | None = None


class ImageMessage(Reply):
    """`{"type": "image", "image": {"id" | "link", "caption"?}}`."""

    type: Literal["image"] = "image"
    image: Image
