"""A place on the map."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

from switchboard.whatsapp.outbound._base import Part, Reply
from switchboard.whatsapp.outbound._limits import rule

_DEGREES = re.compile(r"[+-]?[0-9]{1,3}(\.[0-9]*)?")


def _as_text(degrees: Any) -> Any:
    """Return a number as Meta's pages write it, as a string without an exponent."""
    if isinstance(degrees, int | float) and not isinstance(degrees, bool):
        return format(Decimal(repr(degrees)), "f")
    return degrees


def _within(most: int) -> AfterValidator:
    def check(degrees: str) -> str:
        if not _DEGREES.fullmatch(degrees) or abs(float(degrees)) > most:
            raise rule(f"is no number from -{most} to {most}")
        return degrees

    return AfterValidator(check)


class Location(Part):
    """Cloud API, Messages, location object: decimal degrees, which a caller may give as numbers."""

    latitude: Annotated[str, BeforeValidator(_as_text), _within(90)]
    longitude: Annotated[str, BeforeValidator(_as_text), _within(180)]
    name: str | None = None
    address: str | None = None


class LocationMessage(Reply):
    """`{"type": "location", "location": {"latitude", "longitude", "name"?, "address"?}}`."""

    type: Literal["location"] = "location"
    location: Location


MODEL = LocationMessage
