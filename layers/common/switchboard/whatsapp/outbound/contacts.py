"""Address cards."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from switchboard.whatsapp.outbound._base import Part, Reply
from switchboard.whatsapp.outbound._limits import doubt, strictly

_SAFE = 5
"""Cards that Meta's OpenAPI file allows; its pages allow 257."""


class Name(Part):
    """A person's name; older pages of Meta's want one part of it besides the whole."""

    formatted_name: Annotated[str, Field(min_length=1)]
    first_name: str | None = None
    middle_name: str | None = None
    last_name: str | None = None
    prefix: str | None = None
    suffix: str | None = None

    @model_validator(mode="after")
    def _has_a_part(self, info: ValidationInfo) -> Name:
        parts = (self.first_name, self.middle_name, self.last_name, self.prefix, self.suffix)
        if strictly(info) and not any(parts):
            raise doubt("has its formatted_name alone, and one more part may be wanted")
        return self


class Phone(Part):
    """`type` is any word; with a `wa_id` the person can be written to from the card."""

    phone: str | None = None
    type: str | None = None
    wa_id: str | None = None


class Email(Part):
    """An address of electronic mail."""

    email: str | None = None
    type: str | None = None


class Address(Part):
    """An address of paper mail."""

    street: str | None = None
    city: str | None = None
    state: str | None = None
    zip: str | None = None
    country: str | None = None
    country_code: str | None = None
    type: str | None = None


class Organization(Part):
    """Where the person works."""

    company: str | None = None
    department: str | None = None
    title: str | None = None


class Url(Part):
    """A page of the person's."""

    url: str | None = None
    type: str | None = None


class Contact(Part):
    """Cloud API, Messages, contacts object."""

    name: Name
    phones: list[Phone] | None = None
    emails: list[Email] | None = None
    addresses: list[Address] | None = None
    urls: list[Url] | None = None
    org: Organization | None = None
    birthday: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")] | None = None


def _few(cards: list[Contact], info: ValidationInfo) -> list[Contact]:
    if strictly(info) and len(cards) > _SAFE:
        raise doubt(f"has {len(cards)} items, and the strictest limit known is {_SAFE}")
    return cards


class ContactsMessage(Reply):
    """`{"type": "contacts", "contacts": [{"name": {"formatted_name", …}, …}, …]}`."""

    type: Literal["contacts"] = "contacts"
    contacts: Annotated[list[Contact], Field(min_length=1, max_length=257), AfterValidator(_few)]


MODEL = ContactsMessage
