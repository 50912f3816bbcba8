"""What kinds of interactive messages share: header, body, footer, and the message around them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from switchboard.whatsapp.outbound._base import Part, Reply
from switchboard.whatsapp.outbound._limits import at_most, rule
from switchboard.whatsapp.outbound._media import Media
from switchboard.whatsapp.outbound.document import Document

Label = Annotated[str, Field(min_length=1), at_most(20)]
"""The text of a button."""


class Body(Part):
    """Up to 1,024 characters with emoji, links and markdown."""

    text: Annotated[str, Field(min_length=1), at_most(1_024)]


class Footer(Part):
    """Up to 60 characters."""

    text: Annotated[str, Field(min_length=1), at_most(60)]


class TextHeader(Part):
    """Up to 60 characters without markdown, for the kinds that allow nothing else."""

    type: Literal["text"]
    text: Annotated[str, Field(min_length=1), at_most(60)]
    sub_text: Annotated[str, at_most(60)] | None = None


class Header(Part):
    """A text, picture, film or file above the body: `type` and the member of that name."""

    type: Literal["text", "image", "video", "document"]
    text: Annotated[str, Field(min_length=1), at_most(60)] | None = None
    sub_text: Annotated[str, at_most(60)] | None = None
    image: Media | None = None
    video: Media | None = None
    document: Document | None = None

    @model_validator(mode="after")
    def _is_of_its_type(self) -> Header:
        given = {name for name in ("text", "image", "video", "document") if getattr(self, name)}
        if given != {self.type}:
            raise rule(f"of type {self.type} needs {self.type} and nothing else")
        return self


class InteractiveMessage(Reply):
    """`{"type": "interactive", "interactive": {"type", "body", "action", …}}`."""

    type: Literal["interactive"] = "interactive"


def twice(values: Iterable[Any]) -> bool:
    """Return whether one of `values` is there more than once."""
    listed = list(values)
    return len(set(listed)) < len(listed)


def too_many(length: int, limit: int, what: str) -> PydanticCustomError:
    """Return the refusal of lists that together hold more than `limit` of `what`."""
    return PydanticCustomError(
        "too_many",
        "has {length} {what} in all, the limit is {limit}",
        {"length": length, "limit": limit, "what": what},
    )
