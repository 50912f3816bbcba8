"""Dead letters: listed, read, resolved, forgotten. Intake writes them (store.events)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from psycopg.rows import class_row

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "letters")


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter without its body; `resolved_at` is None while it is open.

    `app_id` is the Meta app that signed it, None the operator's. `detail` may quote what a person
    wrote. `replays` counts the attempts to take it in.
    """

    id: UUID
    reason: str
    detail: str | None
    field: str | None
    waba_id: str | None
    phone_number_id: str | None
    app_id: str | None
    bytes: int
    received_at: datetime
    replays: int
    resolved_at: datetime | None


@dataclass(frozen=True, slots=True)
class WholeLetter(Letter):
    """A dead letter with its body: the bytes of a webhook body that holds it."""

    body: bytes


@dataclass(frozen=True, slots=True)
class OpenCount:
    """How many open letters have one reason and field, and since when."""

    reason: str
    field: str | None
    letters: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list of letters goes on: a letter's time and id."""

    received_at: datetime
    id: UUID


def list_letters(
    connection: Connection,
    tenant_id: UUID,
    *,
    reason: str | None = None,
    field: str | None = None,
    resolved: bool | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: Place | None = None,
    limit: int,
) -> list[Letter]:
    """Return letters received in [since, until), newest first; `resolved` None: both kinds."""
    return (
        connection.cursor(row_factory=class_row(Letter))
        .execute(
            _SQL["list"],
            {
                "tenant_id": tenant_id,
                "reason": reason,
                "field": field,
                "resolved": resolved,
                "since": since,
                "until": until,
                "before": before and before.received_at,
                "before_id": before and before.id,
                "limit": limit,
            },
        )
        .fetchall()
    )


def find(connection: Connection, tenant_id: UUID, letter_id: UUID) -> WholeLetter | None:
    """Return the letter with its body, None where the tenant has none of that id."""
    return (
        connection.cursor(row_factory=class_row(WholeLetter))
        .execute(_SQL["find"], {"tenant_id": tenant_id, "id": letter_id})
        .fetchone()
    )


def list_open(
    connection: Connection,
    tenant_id: UUID,
    *,
    ids: Sequence[UUID] | None,
    reason: str | None,
    since: datetime | None,
    until: datetime | None,
    after: Place | None,
    limit: int,
) -> list[Place]:
    """Return open letters received in [since, until), oldest first; of `ids` where given."""
    rows = connection.execute(
        _SQL["open"],
        {
            "tenant_id": tenant_id,
            "ids": None if ids is None else list(ids),
            "reason": reason,
            "since": since,
            "until": until,
            "after": after and after.received_at,
            "after_id": after and after.id,
            "limit": limit,
        },
    )
    return [Place(received_at, letter_id) for letter_id, received_at in rows]


def count_open(connection: Connection, tenant_id: UUID) -> list[OpenCount]:
    """Return how many letters are open, by reason and field, most first."""
    return (
        connection.cursor(row_factory=class_row(OpenCount))
        .execute(_SQL["count_open"], {"tenant_id": tenant_id})
        .fetchall()
    )


def resolve(
    connection: Connection, tenant_id: UUID, letter_id: UUID, *, now: datetime | None
) -> bool:
    """Say that all of a letter is stored; False where it is gone or was resolved before."""
    values = {"tenant_id": tenant_id, "id": letter_id, "now": now}
    return connection.execute(_SQL["resolve"], values).rowcount == 1


def resolve_body(
    connection: Connection, tenant_id: UUID, body: bytes, *, now: datetime | None
) -> bool:
    """Say that all of `body` is stored; False where no open letter has these bytes."""
    values = {"tenant_id": tenant_id, "sha256": hashlib.sha256(body).digest(), "now": now}
    return connection.execute(_SQL["resolve_body"], values).rowcount == 1


def keep(
    connection: Connection, tenant_id: UUID, letter_id: UUID, *, reason: str, detail: str | None
) -> bool:
    """Say why a replayed letter is not stored; False where it is gone or resolved."""
    values = {"tenant_id": tenant_id, "id": letter_id, "reason": reason[:100], "detail": detail}
    return connection.execute(_SQL["keep"], values).rowcount == 1


def retire(
    connection: Connection,
    *,
    resolved: timedelta,
    unresolved: timedelta,
    limit: int,
    now: datetime | None,
) -> int:
    """Delete up to `limit` letters of all tenants that are older than that; return how many."""
    row = connection.execute(
        _SQL["retire"],
        {"resolved": resolved, "unresolved": unresolved, "limit": limit, "now": now},
    ).fetchone()
    assert row is not None
    return int(row[0])
