"""Lists of people that staff made, and who is on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "contact_lists")


@dataclass(frozen=True, slots=True)
class ContactList:
    """A list; `members` is None where many lists are shown: each would have to be counted."""

    id: UUID
    name: str
    description: str | None
    created_at: datetime
    updated_at: datetime
    members: int | None


@dataclass(frozen=True, slots=True)
class Member:
    """Who is on a list, with the values for a template's parameters."""

    contact_id: UUID
    phone_number: str | None
    given: dict[str, Any]
    created_at: datetime


def insert(
    connection: Connection,
    *,
    tenant_id: UUID,
    list_id: UUID,
    name: str,
    description: str | None,
    now: datetime | None,
) -> None:
    """Add a list, once under its id. Raises UniqueViolation for the name of another one."""
    connection.execute(
        _SQL["insert_list"],
        {
            "tenant_id": tenant_id,
            "id": list_id,
            "name": name,
            "description": description,
            "now": now,
        },
    )


def hold(connection: Connection, tenant_id: UUID, list_id: UUID) -> bool:
    """Keep the list from being deleted until the commit; False: there is none."""
    row = connection.execute(_SQL["hold_list"], {"tenant_id": tenant_id, "id": list_id}).fetchone()
    return row is not None


def find(connection: Connection, tenant_id: UUID, list_id: UUID) -> ContactList | None:
    """Return a list with the number of its members."""
    with connection.cursor(row_factory=class_row(ContactList)) as cursor:
        return cursor.execute(_SQL["find_list"], {"tenant_id": tenant_id, "id": list_id}).fetchone()


def list_lists(
    connection: Connection, tenant_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[ContactList]:
    """Return lists, the newest first, after `before`."""
    at, last = before or ("infinity", UUID(int=0))
    with connection.cursor(row_factory=class_row(ContactList)) as cursor:
        return cursor.execute(
            _SQL["list_lists"],
            {"tenant_id": tenant_id, "before": at, "before_id": last, "limit": limit},
        ).fetchall()


def delete(connection: Connection, tenant_id: UUID, list_id: UUID) -> bool:
    """Forget a list and who is on it; False: there is none."""
    row = connection.execute(
        _SQL["delete_list"], {"tenant_id": tenant_id, "id": list_id}
    ).fetchone()
    return row is not None


def put_members(
    connection: Connection,
    tenant_id: UUID,
    list_id: UUID,
    members: Mapping[UUID, Mapping[str, str]],
    *,
    now: datetime | None,
) -> tuple[int, int]:
    """Put contacts on a list with what is given for them; hold contacts and the list first.

    Returns how many are new there, and how many were there with other values.
    """
    row = connection.execute(
        _SQL["put_members"],
        {
            "tenant_id": tenant_id,
            "list_id": list_id,
            "contact_ids": list(members),
            "given": [Jsonb(given) for given in members.values()],
            "now": now,
        },
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def delete_members(
    connection: Connection, tenant_id: UUID, list_id: UUID, contact_ids: Sequence[UUID]
) -> int:
    """Take contacts off a list and return how many were on it."""
    return connection.execute(
        _SQL["delete_members"],
        {"tenant_id": tenant_id, "list_id": list_id, "contact_ids": list(contact_ids)},
    ).rowcount


def list_members(
    connection: Connection, tenant_id: UUID, list_id: UUID, *, after: UUID, limit: int
) -> list[Member]:
    """Return who is on a list in the order of their ids, after `after`."""
    with connection.cursor(row_factory=class_row(Member)) as cursor:
        return cursor.execute(
            _SQL["list_members"],
            {"tenant_id": tenant_id, "list_id": list_id, "after": after, "limit": limit},
        ).fetchall()
