"""Consents: what people have agreed to and taken back, and whether they were told so."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import orjson

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "consents")

#: Contacts whose state one statement brings up: it compares each with each.
_APPLIED = 100

State = Literal["given", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A change that the person is to be told about now, and how to talk to them."""

    id: UUID
    state: State
    language: str | None
    locale: str | None
    phone: str | None


@dataclass(frozen=True, slots=True)
class Consent:
    """One statement of the history; docs/data-model.md tells each member."""

    id: UUID
    contact_id: UUID
    scope: str
    state: str
    source: str
    wording: str | None
    language: str | None
    account_id: UUID | None
    message_id: UUID | None
    occurred_at: datetime
    created_at: datetime
    confirmed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Statement:
    """What a person said elsewhere. `name` is its own: recorded again it is the same row.

    `occurred_at` None, or in the future: now. `contact_id` is no merged one's. `language` is that
    of the wording, where it is known.
    """

    name: UUID
    contact_id: UUID
    state: State
    wording: str
    occurred_at: datetime | None
    scope: Literal["messages", "marketing", "email"] = "messages"
    source: Literal["api", "page"] = "api"
    language: str | None = None


def record(
    connection: Connection,
    tenant_id: UUID,
    statements: Sequence[Statement],
    *,
    now: datetime | None,
) -> dict[UUID, Consent]:
    """Add what people said elsewhere, let their opt-in states follow; return the rows by name.

    Hold contacts first.
    """
    named = {one.name: one for one in statements}
    by_digest = {hashlib.sha256(str(name).encode()).digest(): name for name in named}
    documents = [
        {
            "sha256": digest.hex(),
            "contact": named[name].contact_id,
            "state": named[name].state,
            "wording": named[name].wording,
            "scope": named[name].scope,
            "source": named[name].source,
            "language": named[name].language,
            "occurred_at": named[name].occurred_at,
        }
        for digest, name in by_digest.items()
    ]
    rows = connection.execute(
        _SQL["record"],
        {"tenant": tenant_id, "statements": orjson.dumps(documents).decode(), "now": now},
    ).fetchall()
    contact_ids = sorted({one.contact_id for one in statements})
    for start in range(0, len(contact_ids), _APPLIED):
        part = contact_ids[start : start + _APPLIED]
        connection.execute(_SQL["apply"], {"tenant": tenant_id, "contacts": part, "now": now})
    return {by_digest[bytes(digest)]: Consent(*row) for digest, *row in rows}


def list_consents(
    connection: Connection,
    tenant_id: UUID,
    *,
    contact_id: UUID | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Consent]:
    """Return statements, of one contact or of all, the newest recorded first, after a position."""
    at, last = before or ("infinity", UUID(int=0))
    parameters = {
        "tenant": tenant_id,
        "contact": contact_id,
        "before": at,
        "before_id": last,
        "limit": limit,
    }
    name = "list_all" if contact_id is None else "list_of_contact"
    return [Consent(*row) for row in connection.execute(_SQL[name], parameters)]


def confirm(
    connection: Connection,
    tenant_id: UUID,
    contact_id: UUID,
    message_ids: Sequence[UUID],
    *,
    now: datetime | None,
) -> Unconfirmed | None:
    """Return the change that these messages brought, noted as confirmed; None where none did.

    In the transaction that puts the confirmation into the outbox: once per change, whoever asks.
    """
    connection.execute(_SQL["hold"], {"contact": contact_id})
    row = connection.execute(
        _SQL["confirm"],
        {
            "tenant": tenant_id,
            "contact": contact_id,
            "messages": list(message_ids),
            "now": now,
        },
    ).fetchone()
    return None if row is None else Unconfirmed(*row)
