"""Contacts: found, listed, and what staff may say about them.

What people say of themselves (profile name, username, identifiers) comes with their messages and is
nobody else's to change; opt-in belongs to consents.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal
from uuid import UUID

import psycopg
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints

from switchboard.kernel import phones
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import Conflict, NotFound, Unprocessable
from switchboard.kernel.page import WALK, Page, Paged, as_id, read_cursor, write_cursor
from switchboard.kernel.zones import known_zone
from switchboard.store import contacts as store
from switchboard.store.contacts import Contact
from switchboard.tools import Tools
from switchboard.transact import transact

#: Members and bytes of a contact's attributes.
MOST_ATTRIBUTES, ATTRIBUTES_LIMIT = 100, 16_384


def _or_none(value: Any) -> Any:
    """Take a text of nothing for nothing: a form's and a command line's way to clear."""
    return None if isinstance(value, str) and not value.strip() else value


def _phone(value: str) -> str:
    digits = phones.digits(value.strip())
    if digits is None:
        raise ValueError("must be 7 to 15 digits, with or without +")
    return phones.national_variant(digits)


Text200 = Annotated[
    Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] | None,
    BeforeValidator(_or_none),
]
Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50)]


class ContactFilter(Paged):
    """Which contacts: by id that staff or Meta know, or those that fit all of the rest."""

    phone: Annotated[str, AfterValidator(_phone)] | None = Field(
        None, description="the one with this number: 7 to 15 digits, with or without +"
    )
    user_id: str | None = Field(
        None, max_length=200, description="the one with this business-scoped user id of Meta's"
    )
    external_user_id: str | None = Field(
        None, max_length=200, description="the one with this id of your own"
    )
    tag: Tag | None = Field(None, description="with this tag")
    opt_in_status: Literal["pending", "opted_in", "opted_out"] | None = Field(
        None, description="pending, opted_in or opted_out"
    )
    is_blocked: bool | None = Field(None, description="blocked here, or not")
    updated_since: AwareDatetime | None = Field(
        None, description="changed or heard of since, as 2027-01-31T00:00:00Z"
    )


class ContactChange(Arguments):
    """What staff may change: members that are left out stay, null or an empty text clears."""

    name: Text200 = Field(None, description="what staff call the person")
    email: Annotated[
        Annotated[
            str,
            StringConstraints(strip_whitespace=True, pattern=r"^[^@\s]+@[^@\s]+$", max_length=320),
        ]
        | None,
        BeforeValidator(_or_none),
    ] = Field(None, description="e-mail address")
    company: Text200 = Field(None, description="where the person works")
    title: Text200 = Field(None, description="what the person does there")
    locale: Annotated[
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8}){0,3}$")]
        | None,
        BeforeValidator(_or_none),
    ] = Field(None, description="language and country, as en_US")
    timezone: Annotated[
        Annotated[str, StringConstraints(max_length=64), AfterValidator(known_zone)] | None,
        BeforeValidator(_or_none),
    ] = Field(None, description="time zone, as Europe/Berlin")
    external_user_id: Text200 = Field(
        None, description="your own id of the person; no two contacts have the same"
    )
    is_blocked: bool = Field(
        default=False, description="whether we refuse this person, here and not at Meta"
    )
    tags: list[Tag] = Field(default=[], max_length=50, description="all tags, at most 50")
    attributes: dict[Annotated[str, StringConstraints(min_length=1, max_length=100)], Any] = Field(
        default={},
        max_length=MOST_ATTRIBUTES,
        description="members to set in the contact's own attributes; null takes one away",
    )


def list_contacts(tools: Tools, tenant_id: UUID, wanted: ContactFilter) -> Page[Contact]:
    """Return contacts in the order of their ids; merged and deleted ones are not among them.

    `phone`, `user_id` and `external_user_id` find at most one.
    """

    def read(connection: Connection) -> Page[Contact]:
        if wanted.phone or wanted.user_id or wanted.external_user_id:
            return Page(_one_of(connection, tenant_id, wanted), None)
        after = read_cursor("contacts", wanted, 1)
        steps = store.walk(
            connection,
            tenant_id,
            after=as_id(after[0]) if after else UUID(int=0),
            walk=WALK,
            limit=wanted.limit,
            opt_in_status=wanted.opt_in_status,
            is_blocked=wanted.is_blocked,
            tag=wanted.tag,
            updated_since=wanted.updated_since,
        )
        fitting = [step for step in steps if step.matches]
        last = None
        if len(fitting) > wanted.limit:
            fitting = fitting[: wanted.limit]
            last = fitting[-1].id
        elif steps and steps[-1].place == WALK:
            last = steps[-1].id
        rows = store.load(connection, tenant_id, [step.id for step in fitting])
        return Page(rows, write_cursor("contacts", wanted, last) if last else None)

    return transact(tools, tenant_id, read)


def show_contact(tools: Tools, tenant_id: UUID, contact_id: UUID) -> Contact:
    """Return a contact; of a merged one the root, with the id that was asked for as `merged_from`.

    Raises NotFound.
    """
    return transact(tools, tenant_id, lambda connection: _show(connection, tenant_id, contact_id))


def change_contact(
    tools: Tools, tenant_id: UUID, contact_id: UUID, change: ContactChange
) -> Contact:
    """Change what `change` names, of a merged contact the root, and return the contact.

    Raises NotFound, Conflict for an external_user_id of another contact, Unprocessable where the
    attributes grow over their limit.
    """
    document = change.model_dump(exclude_unset=True)

    def write(connection: Connection) -> Contact:
        store.hold(connection, tenant_id)
        root = store.find_root(connection, tenant_id, contact_id)
        if root is None:
            raise _unknown()
        if document:
            taken = store.change(connection, tenant_id, root, document, now=tools.clock.now)
            if taken is not None and taken > ATTRIBUTES_LIMIT:
                raise Unprocessable(
                    f"the contact's attributes would take over {ATTRIBUTES_LIMIT} bytes",
                    field="attributes",
                )
        return _show(connection, tenant_id, contact_id)

    try:
        return transact(tools, tenant_id, write)
    except psycopg.errors.UniqueViolation:
        raise Conflict(
            "another contact has this external_user_id", field="external_user_id"
        ) from None


def _one_of(connection: Connection, tenant_id: UUID, wanted: ContactFilter) -> list[Contact]:
    found: set[UUID | None] = set()
    if wanted.phone:
        found.add(store.find_by_identifier(connection, tenant_id, "phone", wanted.phone))
    if wanted.user_id:
        found.add(store.find_by_identifier(connection, tenant_id, "user_id", wanted.user_id))
    if wanted.external_user_id:
        found.add(store.find_by_external_user_id(connection, tenant_id, wanted.external_user_id))
    # Two ids of two persons are nobody's.
    one = found.pop() if len(found) == 1 else None
    if one is None:
        return []
    return [
        contact
        for contact in store.load(connection, tenant_id, [one])
        if (wanted.tag is None or wanted.tag in contact.tags)
        and wanted.opt_in_status in (None, contact.opt_in_status)
        and wanted.is_blocked in (None, contact.is_blocked)
        and (wanted.updated_since is None or contact.updated_at >= wanted.updated_since)
    ]


def _show(connection: Connection, tenant_id: UUID, contact_id: UUID) -> Contact:
    root = store.find_root(connection, tenant_id, contact_id)
    rows = store.load(connection, tenant_id, [root]) if root else []
    if not rows:
        raise _unknown()
    return rows[0] if rows[0].id == contact_id else replace(rows[0], merged_from=contact_id)


def _unknown() -> NotFound:
    return NotFound("this contact is not known")
