"""A place, shared freely or as the answer to a location request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from switchboard.whatsapp.webhook.payloads._read import Object, number_between, optional_text


@dataclass(frozen=True, slots=True)
class Location:
    """A place in degrees (Webhooks, messages, location): numbers, with what the person named it."""

    WORDS: ClassVar = ("location",)

    latitude: float
    longitude: float
    name: str | None
    address: str | None
    url: str | None

    @classmethod
    def read(cls, word: str, content: Object) -> Location:  # noqa: ARG003 - one signature for all
        """Read `location: {latitude, longitude, name?, address?, url?}`; odd beyond 90 and 180."""
        return cls(
            number_between(content, "latitude", -90, 90),
            number_between(content, "longitude", -180, 180),
            optional_text(content, "name"),
            optional_text(content, "address"),
            optional_text(content, "url"),
        )
