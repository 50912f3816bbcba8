"""What callers may say of any fact, checked member by member, so that a problem names one."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated, Any
from uuid import UUID

import orjson
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from switchboard.kernel import phones
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.currencies import known_currency
from switchboard.kernel.page import Paged
from switchboard.kernel.zones import known_zone

#: Members and bytes of a fact's attributes, as of a contact's.
MOST_ATTRIBUTES, ATTRIBUTES_LIMIT = 100, 16_384
#: Far from where a zone or another calendar's year makes a time that cannot be read again.
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2999, 12, 31, tzinfo=UTC)
#: A trillion of the smallest unit; sums of a thousand stay whole numbers in every language.
MOST_MINOR = 1_000_000_000_000


def is_external_id(text: str) -> bool:
    """Return whether `text` can be an external id, which must be able to stand in an address."""
    fits = 0 < len(text) <= 200 and text.isprintable() and text.strip() == text
    return fits and "/" not in text and text not in {".", ".."}


def check_external_id(text: str) -> str:
    """Return `text`; raises ValueError where it can be no external id."""
    if not is_external_id(text):
        raise ValueError("must be 1 to 200 printable characters, without / and spaces around")
    return text


def _digits(text: str) -> str:
    digits = phones.digits(text.strip())
    if digits is None:
        raise ValueError("must be 7 to 15 digits, with or without +")
    return phones.national_variant(digits)


def _written(value: Any) -> Any:
    # pydantic takes a number for seconds since 1970, which no service means by a date.
    if not isinstance(value, (str, date, time)):
        raise ValueError("must be a text, as 2027-01-31, 09:30 or 2027-01-31T09:30:00Z")
    return value


def _local(value: time) -> time:
    if value.tzinfo is not None:
        raise ValueError("must be a local time, as 09:30: timezone says where")
    return value


def _amount(value: Any) -> Any:
    if isinstance(value, (bool, float)):
        raise ValueError("must be a whole number of the currency's minor unit")
    return value


def _small(value: dict[str, Any]) -> dict[str, Any]:
    size = len(orjson.dumps(value))
    if size > ATTRIBUTES_LIMIT:
        raise ValueError(f"takes {size} bytes as JSON; {ATTRIBUTES_LIMIT} are possible")
    return value


ExternalId = Annotated[str, AfterValidator(check_external_id)]
Phone = Annotated[str, AfterValidator(_digits)]
Text = Annotated[str, StringConstraints(max_length=500)]
Zone = Annotated[str, StringConstraints(max_length=64), AfterValidator(known_zone)]
Currency = Annotated[str, AfterValidator(known_currency)]
Minor = Annotated[int, BeforeValidator(_amount), Field(ge=0, le=MOST_MINOR)]
Day = Annotated[date, BeforeValidator(_written), Field(ge=EARLIEST.date(), le=LATEST.date())]
TimeOfDay = Annotated[time, BeforeValidator(_written), AfterValidator(_local)]
Moment = Annotated[AwareDatetime, BeforeValidator(_written), Field(ge=EARLIEST, le=LATEST)]
Attributes = Annotated[
    dict[Annotated[str, StringConstraints(min_length=1, max_length=100)], Any],
    Field(max_length=MOST_ATTRIBUTES),
    AfterValidator(_small),
]


class Fact(Arguments):
    """What every fact has: whose it is, and when it was true."""

    contact_id: UUID | None = Field(None, description="the contact's id; or its phone")
    phone: Phone | None = Field(
        None,
        validate_default=True,
        description="the number, 7 to 15 digits; a contact is made where there is none",
    )
    timezone: Zone = Field("UTC", description="IANA name of the zone it happens in")
    attributes: Attributes = Field(
        {}, description=f"whatever else there is to know, {ATTRIBUTES_LIMIT} bytes at most"
    )
    as_of: Moment | None = Field(
        None,
        description="when this was true, as 2027-01-31T00:00:00Z; an older one changes nothing;"
        " left out: now",
    )

    @field_validator("phone")
    @classmethod
    def _names_one(cls, value: str | None, info: ValidationInfo) -> str | None:
        if "contact_id" in info.data and (value is None) == (info.data["contact_id"] is None):
            raise ValueError("or contact_id must be given, and not both")
        return value


class FactFilter(Paged):
    """Whose facts; status comes with each kind."""

    contact_id: UUID | None = Field(None, description="of this contact alone")
    phone: Phone | None = Field(None, description="of the contact with this number: 7 to 15 digits")


class TheFact(Arguments):
    """One fact, by the service's own id."""

    external_id: str = Field(max_length=1000, description="your own id of it")
