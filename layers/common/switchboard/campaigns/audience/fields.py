"""What a filter may ask of a contact: each field's name, its kind, and which operators it has."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import LiteralString


class Kind(Enum):
    """What a field holds, and with it how it is compared."""

    TEXT = "text"
    PHONE = "phone"  # + and digits
    COUNTRY = "country"  # ISO 3166, two capitals
    LANGUAGE = "language"  # ISO 639, two or three small letters
    STATUS = "status"  # of the opt-in
    TIME = "time"
    TAGS = "tags"
    ATTRIBUTE = "attribute"  # any JSON value


@dataclass(frozen=True, slots=True)
class Field:
    """A field by the name that filters use.

    `column` says where the query has it; of an attribute it is empty, and `key` a caller's word.
    """

    name: str
    kind: Kind
    column: LiteralString
    key: str = ""


_WORDS = ("is", "is_not", "in", "exists")
_TEXT = (*_WORDS, "contains", "starts_with")
_TIMES = ("before", "after", "within", "exists")
#: The operators of each kind of field.
OPERATORS: dict[Kind, tuple[str, ...]] = {
    Kind.TEXT: _TEXT,
    Kind.PHONE: ("is", "is_not", "in", "exists", "starts_with"),
    Kind.COUNTRY: _WORDS,
    Kind.LANGUAGE: _WORDS,
    Kind.STATUS: ("is", "is_not", "in"),
    Kind.TIME: _TIMES,
    Kind.TAGS: ("contains", "in", "exists"),
    Kind.ATTRIBUTE: (*_TEXT, "before", "after", "within", "greater", "less"),
}

#: What a filter's field begins with where it is a member of the contact's attributes.
ATTRIBUTES = "contact.attributes."
#: Characters of an attribute's key, as where attributes are written.
LONGEST_KEY = 100

FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        Field("contact.name", Kind.TEXT, "c.name"),
        Field("contact.profile_name", Kind.TEXT, "c.profile_name"),
        Field("contact.username", Kind.TEXT, "c.username"),
        Field("contact.email", Kind.TEXT, "c.email"),
        Field("contact.company", Kind.TEXT, "c.company"),
        Field("contact.title", Kind.TEXT, "c.title"),
        Field("contact.locale", Kind.TEXT, "c.locale"),
        Field("contact.timezone", Kind.TEXT, "c.timezone"),
        Field("contact.external_user_id", Kind.TEXT, "c.external_user_id"),
        Field("contact.country_code", Kind.COUNTRY, "c.country_code"),
        Field("contact.opt_in_status", Kind.STATUS, "c.opt_in_status"),
        Field("contact.tags", Kind.TAGS, "c.tags"),
        Field("contact.created_at", Kind.TIME, "c.created_at"),
        Field("contact.opted_in_at", Kind.TIME, "c.opted_in_at"),
        Field("contact.opted_out_at", Kind.TIME, "c.opted_out_at"),
        Field("contact.phone", Kind.PHONE, "c.phone_number"),
        # The part of the locale before the country.
        Field("contact.language", Kind.LANGUAGE, "lower(substring(c.locale from '^[A-Za-z]+'))"),
        # Over all of the tenant's numbers.
        Field("contact.last_inbound_at", Kind.TIME, "heard.last_inbound_at"),
        Field("contact.last_message_at", Kind.TIME, "heard.last_message_at"),
    )
}


def find_field(name: str) -> Field | None:
    """Return the field of this name; None where there is none."""
    if name.startswith(ATTRIBUTES):
        key = name.removeprefix(ATTRIBUTES)
        if not 1 <= len(key) <= LONGEST_KEY:
            return None
        return Field(name, Kind.ATTRIBUTE, "", key)
    return FIELDS.get(name)
