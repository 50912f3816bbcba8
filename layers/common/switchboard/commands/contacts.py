"""contacts: people, as staff see them."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import orjson
from pydantic import BeforeValidator, Field

from switchboard.commands._resource import Command, Resource
from switchboard.inbox import contacts
from switchboard.inbox.contacts import ContactChange, ContactFilter
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.page import Page
from switchboard.store.contacts import Contact
from switchboard.tools import Tools


def _json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        raise ValueError("must be a JSON object") from None


class TheContact(Arguments):
    """One contact."""

    contact: UUID = Field(description="the contact's id")


class ChangedContact(ContactChange, TheContact):
    """What to change about a contact."""

    attributes: Annotated[dict[str, Any], BeforeValidator(_json)] = Field(
        default={}, description='members to set, as \'{"plan": "gold"}\'; null takes one away'
    )


def list_contacts(tools: Tools, tenant_id: UUID, wanted: ContactFilter) -> Page[Contact]:
    """List contacts, or find one by phone, user id or your own id."""
    return contacts.list_contacts(tools, tenant_id, wanted)


def show_contact(tools: Tools, tenant_id: UUID, which: TheContact) -> Contact:
    """Show a contact; of a merged one the contact that it became."""
    return contacts.show_contact(tools, tenant_id, which.contact)


def update_contact(tools: Tools, tenant_id: UUID, given: ChangedContact) -> Contact:
    """Change what staff may say about a contact; an empty text clears."""
    members = given.model_dump(exclude_unset=True, exclude={"contact"})
    change = ContactChange.model_validate(members)
    return contacts.change_contact(tools, tenant_id, given.contact, change)


_ID = "--contact 0d5f3c1e-6f0a-4c55-9d0b-1c8a52f0e0aa"
KIND = Resource(
    "contacts",
    "people who wrote or were written to",
    (
        Command(
            "list",
            ContactFilter,
            list_contacts,
            "--phone +525550001234",
            ("id", "name", "profile_name", "phone_number", "opt_in_status", "tags", "updated_at"),
        ),
        Command("show", TheContact, show_contact, _ID),
        Command("update", ChangedContact, update_contact, f'{_ID} --name "Ana Ruiz" --tags vip'),
    ),
)
