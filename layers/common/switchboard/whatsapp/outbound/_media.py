"""Files of a message: uploaded before, or behind an address."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, model_validator

from switchboard.whatsapp.outbound._base import Part, Word
from switchboard.whatsapp.outbound._limits import at_most, rule


def _web_address(link: str) -> str:
    try:
        parts = urlsplit(link)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.netloc or not link.isprintable():
        raise rule("is no http or https address")
    return link


Link = Annotated[str, AfterValidator(_web_address)]


class Media(Part):
    """Cloud API, Messages, media object: exactly one of an uploaded `id` and a public `link`.

    Meta loads a link once in ten minutes; its type and size are Meta's to check.
    """

    id: Word | None = None
    link: Link | None = None

    @model_validator(mode="after")
    def _has_one_source(self) -> Media:
        if (self.id is None) == (self.link is None):
            raise rule("needs exactly one of id and link")
        return self


class Captioned(Media):
    """A file with up to 1,024 characters below it."""

    caption: Annotated[str, at_most(1_024)] | None = None
