"""The four kinds of audience, and the query that finds the people of one.

    {"type": "all_contacts"}
    {"type": "tagged", "tags": ["vip", "beta"], "match": "any"}
    {"type": "segment", "filter": {"field": "contact.country_code", "op": "is", "value": "MX"}}
    {"type": "custom_list", "phones": ["+525550001234"], "contact_ids": []}
    {"type": "custom_list", "list_id": "…"}

Merged, deleted and blocked contacts are in no audience. Consent is not looked at here: a campaign
asks for it when it starts and again with each message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias, assert_never
from uuid import UUID

from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from switchboard.campaigns.audience.conditions import compile_filter
from switchboard.campaigns.audience.filters import Segment
from switchboard.kernel import phones
from switchboard.kernel.arguments import Arguments
from switchboard.store import audiences as store
from switchboard.store.audiences import People

#: Tags of a tagged audience; phones and ids that are given in the audience itself.
MOST_TAGS, MOST_GIVEN = 50, 1_000


def read_phone(value: str) -> str:
    """Return a phone as contacts are found by it: digits in the one form that is kept.

    Raises ValueError.
    """
    digits = phones.digits(value.strip())
    if digits is None:
        raise ValueError("must be 7 to 15 digits, with or without +")
    return phones.national_variant(digits)


Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50)]
Phone = Annotated[str, AfterValidator(read_phone)]


class AllContacts(Arguments):
    """Everybody."""

    type: Literal["all_contacts"]


class Tagged(Arguments):
    """Who has any of the tags, or all of them."""

    type: Literal["tagged"]
    tags: list[Tag] = Field(min_length=1, max_length=MOST_TAGS)
    match: Literal["any", "all"] = "any"


class InSegment(Arguments):
    """Whom a filter finds at the moment that it is asked."""

    type: Literal["segment"]
    filter: Segment


class CustomList(Arguments):
    """People one by one, given here or on a stored list; who is nobody's is left out."""

    type: Literal["custom_list"]
    list_id: UUID | None = None
    phones: list[Phone] = Field(default=[], max_length=MOST_GIVEN)
    contact_ids: list[UUID] = Field(default=[], max_length=MOST_GIVEN)

    @model_validator(mode="after")
    def _names_somebody(self) -> CustomList:
        given = bool(self.phones or self.contact_ids)
        if given == (self.list_id is not None):
            raise ValueError("either list_id, or phones and contact_ids, must name people")
        return self


_KINDS: dict[str, type[Arguments]] = {
    "all_contacts": AllContacts,
    "tagged": Tagged,
    "segment": InSegment,
    "custom_list": CustomList,
}


def _read(value: Any) -> Any:
    if isinstance(value, tuple(_KINDS.values())):
        return value
    if not isinstance(value, Mapping):
        raise ValueError("must be an object")
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ValueError(f"its type must be one of {', '.join(_KINDS)}")
    return _KINDS[kind].model_validate(dict(value))


def _write(audience: Arguments) -> dict[str, Any]:
    return audience.model_dump(mode="json", by_alias=True)


#: An audience as JSON; a wrong member is refused by its path.
Audience: TypeAlias = Annotated[
    AllContacts | Tagged | InSegment | CustomList,
    PlainValidator(_read),
    PlainSerializer(_write),
    WithJsonSchema({"type": "object", "description": "see docs/audiences.md"}),
]


def select_people(audience: Audience) -> People:
    """Return the query of an audience's people."""
    match audience:
        case AllContacts():
            return store.all_contacts()
        case Tagged():
            return store.tagged(audience.tags, every=audience.match == "all")
        case InSegment():
            condition, parameters = compile_filter(audience.filter)
            return store.segment(condition, parameters)
        case CustomList(list_id=UUID() as list_id):
            return store.members(list_id)
        case CustomList():
            return store.people(audience.phones, audience.contact_ids)
    assert_never(audience)
