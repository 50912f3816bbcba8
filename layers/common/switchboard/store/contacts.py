"""People as staff see them: lists, one, and what staff may change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg.types.json import Jsonb

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "contacts")


@dataclass(frozen=True, slots=True)
class Contact:
    """A person; `identifiers` are {"kind", "value"} of what finds them.

    `unreachable_since`: the first of at least three messages in a row that could not be delivered.
    `merged_from` is the id that was asked for where it is another contact's that was merged into
    this one.
    """

    id: UUID
    name: str | None
    profile_name: str | None
    phone_book_name: str | None
    username: str | None
    phone_number: str | None
    country_code: str | None
    email: str | None
    company: str | None
    title: str | None
    about: str | None
    profile_picture_url: str | None
    locale: str | None
    timezone: str | None
    tags: list[str]
    attributes: dict[str, Any]
    external_user_id: str | None
    is_business: bool
    is_verified: bool
    is_blocked: bool
    opt_in_status: str
    opted_in_at: datetime | None
    opted_out_at: datetime | None
    marketing_stopped_at: datetime | None
    marketing_resumed_at: datetime | None
    unreachable_since: datetime | None
    last_seen_at: datetime | None
    created_at: datetime
    updated_at: datetime
    identifiers: list[dict[str, str]]
    merged_from: UUID | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A contact that a walk came by: it fits the filters, or it is the walk's last one."""

    id: UUID
    matches: bool
    place: int


def walk(
    connection: Connection,
    tenant_id: UUID,
    *,
    after: UUID,
    walk: int,
    limit: int,
    opt_in_status: str | None = None,
    is_blocked: bool | None = None,
    tag: str | None = None,
    updated_since: datetime | None = None,
) -> list[Step]:
    """Return up to `limit` + 1 contacts after the id `after`, of the next `walk` those that fit.

    The one at the place `walk`, if there are as many, is among them whether it fits or not.
    """
    parameters = {
        "tenant_id": tenant_id,
        "after": after,
        "walk": walk,
        "limit": limit,
        "opt_in_status": opt_in_status,
        "is_blocked": is_blocked,
        "tag": tag,
        "updated_since": updated_since,
    }
    return [Step(*row) for row in connection.execute(_SQL["walk"], parameters)]


def find_by_identifier(
    connection: Connection, tenant_id: UUID, kind: Literal["phone", "user_id"], value: str
) -> UUID | None:
    """Return the contact that an identifier belongs to."""
    parameters = {"tenant_id": tenant_id, "kind": kind, "value": value}
    row = connection.execute(_SQL["find_by_identifier"], parameters).fetchone()
    return None if row is None else row[0]


def find_by_external_user_id(connection: Connection, tenant_id: UUID, value: str) -> UUID | None:
    """Return the contact with the caller's own id, or the one it was merged into."""
    parameters = {"tenant_id": tenant_id, "value": value}
    row = connection.execute(_SQL["find_by_external_user_id"], parameters).fetchone()
    return None if row is None else row[0]


def find_root(connection: Connection, tenant_id: UUID, contact_id: UUID) -> UUID | None:
    """Return the contact itself or, of a merged one, the root; None for an unknown id."""
    parameters = {"tenant_id": tenant_id, "id": contact_id}
    row = connection.execute(_SQL["find_root"], parameters).fetchone()
    return None if row is None else row[0]


def load(connection: Connection, tenant_id: UUID, ids: Sequence[UUID]) -> list[Contact]:
    """Return these contacts in the order of their ids, without those that are deleted."""
    rows = connection.execute(_SQL["load"], {"tenant_id": tenant_id, "ids": list(ids)})
    return [Contact(*row) for row in rows]


def change(
    connection: Connection,
    tenant_id: UUID,
    contact_id: UUID,
    change: dict[str, Any],
    *,
    now: datetime | None,
) -> int | None:
    """Set the members of `change` (None clears), merge its `attributes`; hold contacts first.

    Returns the bytes that the attributes then take; None where there is no such contact. Raises
    UniqueViolation for an external_user_id of another contact.
    """
    parameters = {
        "tenant_id": tenant_id,
        "id": contact_id,
        "change": Jsonb(change),
        "now": now,
    }
    row = connection.execute(_SQL["change"], parameters).fetchone()
    return None if row is None else row[0]


def hold(connection: Connection, tenant_id: UUID) -> None:
    """Let no merge of contacts pass until the commit."""
    connection.execute(_SQL["hold"], {"tenant_id": tenant_id})
