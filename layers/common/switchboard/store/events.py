"""What webhook deliveries write, and who an id of Meta's belongs to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from switchboard.kernel.db import Connection, queries, set_tenant

_SQL = queries(__package__ or "", "events")
_TAKE = _SQL["take"]

#: Belongs to nobody yet: events of unknown numbers, bodies that cannot be read.
SYSTEM_TENANT = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Taken:
    """What one delivery brought a tenant: new messages, new status events, whether to nudge."""

    messages: int
    events: int
    nudge: bool


@dataclass(frozen=True, slots=True)
class Number:
    """A business number of ours; `app_id` is the tenant's own Meta app, None the operator's."""

    tenant_id: UUID
    account_id: UUID
    waba_id: str
    app_id: str | None


@dataclass(frozen=True, slots=True)
class BusinessAccount:
    """A WABA of ours; `app_id` is the tenant's own Meta app, None the operator's."""

    tenant_id: UUID
    app_id: str | None


@dataclass(frozen=True, slots=True)
class MetaApp:
    """A tenant's own Meta app with its sealed secrets."""

    tenant_id: UUID
    app_secret_sealed: bytes
    app_secret_previous_sealed: bytes | None
    verify_token_sealed: bytes


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One item that could not be processed: its bytes and why."""

    body: bytes
    reason: str
    detail: str | None = None
    field: str | None = None
    waba_id: str | None = None
    phone_number_id: str | None = None


def take(connection: Connection, tenant_id: UUID, document: str, now: datetime | None) -> Taken:
    """Write a delivery's readable events of one tenant; `document` is JSON for messaging.take.

    One statement in autocommit: when it returns, it is committed. Raises psycopg.Error.
    """
    row = connection.execute(_TAKE, {"tenant": tenant_id, "doc": document, "now": now}).fetchone()
    assert row is not None
    return Taken(*row)


def resolve_numbers(connection: Connection, ids: Iterable[str]) -> dict[str, Number]:
    """Return the numbers of ours among `ids` (phone_number_ids)."""
    rows = connection.execute(_SQL["resolve_numbers"], {"ids": list(ids)})
    return {row[0]: Number(*row[1:]) for row in rows}


def resolve_wabas(connection: Connection, ids: Iterable[str]) -> dict[str, BusinessAccount]:
    """Return the business accounts of ours among `ids` (WABA ids)."""
    rows = connection.execute(_SQL["resolve_wabas"], {"ids": list(ids)})
    return {row[0]: BusinessAccount(*row[1:]) for row in rows}


def resolve_app(connection: Connection, app_id: str) -> MetaApp | None:
    """Return the tenant's own Meta app `app_id`, or None where it is unknown or disabled."""
    row = connection.execute(_SQL["resolve_app"], {"app_id": app_id}).fetchone()
    return None if row is None else MetaApp(*row)


def keep_dead_letters(
    connection: Connection,
    tenant_id: UUID,
    letters: Sequence[DeadLetter],
    *,
    app_id: str | None,
    now: datetime | None,
) -> None:
    """Keep `letters` whole, each distinct body once per tenant; commits on its own."""
    with connection.transaction():
        set_tenant(connection, tenant_id)
        connection.execute(
            _SQL["keep_dead_letters"],
            {
                "tenant": tenant_id,
                "app_id": app_id,
                "now": now,
                "sha256": [hashlib.sha256(letter.body).digest() for letter in letters],
                "body": [letter.body for letter in letters],
                "reason": [letter.reason[:100] for letter in letters],
                "detail": [letter.detail for letter in letters],
                "field": [letter.field for letter in letters],
                "waba_id": [letter.waba_id for letter in letters],
                "phone_number_id": [letter.phone_number_id for letter in letters],
            },
        )
