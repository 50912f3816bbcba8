"""Subscriptions to events (messages, statuses, echoes, calls) and the deliveries to endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from psycopg.rows import class_row

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "subscriptions")

#: What a subscription's secret is sealed for.
PURPOSE = "subscription_secret"


@dataclass(frozen=True, slots=True)
class Subscription:
    """An endpoint and the kinds of events it wants; its secret stays sealed in the database.

    `failures` in a row, until `rest_until` nothing is sent there; `pending` and `dead` count its
    deliveries that are kept, to 1,000 each.
    """

    id: UUID
    url: str
    kinds: list[str]
    is_active: bool
    disabled_reason: str | None
    failures: int
    rest_until: datetime | None
    secret_previous_until: datetime | None
    created_at: datetime
    pending: int
    dead: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one subscription; `attempts` as in docs/data-model.md, oldest first."""

    id: UUID
    kind: str
    state: str
    message_id: UUID | None
    wa_message_id: str | None
    call_id: UUID | None
    status: str | None
    attempts: list[dict[str, Any]]
    next_attempt_at: datetime | None
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery that is not finished, with its endpoint; None of it where that was deleted.

    `rests_until` is set while the endpoint rests. What it is about: `message_id`, the key of a
    status event, or `call_id` and the call's `status`.
    """

    kind: str
    created_at: datetime
    url: str | None
    secret_sealed: bytes | None
    secret_previous_sealed: bytes | None
    is_active: bool
    rests_until: datetime | None
    message_id: UUID | None
    call_id: UUID | None
    account_id: UUID | None
    wa_message_id: str | None
    status: str | None
    participant: str | None
    occurred_at: datetime | None


def find(connection: Connection, tenant_id: UUID, wanted: UUID | None = None) -> list[Subscription]:
    """Return a tenant's subscriptions, the oldest first, or the one that is `wanted`."""
    with connection.cursor(row_factory=class_row(Subscription)) as cursor:
        return cursor.execute(
            _SQL["find_subscriptions"], {"tenant_id": tenant_id, "wanted": wanted}
        ).fetchall()


def insert(
    connection: Connection,
    *,
    tenant_id: UUID,
    subscription_id: UUID,
    url: str,
    kinds: Sequence[str],
    secret_sealed: bytes,
    most: int,
    now: datetime | None,
) -> None:
    """Add a subscription, once under its id, unless the tenant has `most` already."""
    connection.execute(_SQL["hold_subscriptions"], {"tenant_id": tenant_id})
    connection.execute(
        _SQL["insert_subscription"],
        {
            "tenant_id": tenant_id,
            "id": subscription_id,
            "url": url,
            "kinds": list(kinds),
            "secret_sealed": secret_sealed,
            "most": most,
            "now": now,
        },
    )


def change(
    connection: Connection,
    tenant_id: UUID,
    wanted: UUID,
    *,
    url: str | None,
    kinds: Sequence[str] | None,
) -> None:
    """Change what is given; another address starts without a rest."""
    connection.execute(
        _SQL["change_subscription"],
        {
            "tenant_id": tenant_id,
            "id": wanted,
            "url": url,
            "kinds": None if kinds is None else list(kinds),
        },
    )


def delete(connection: Connection, tenant_id: UUID, wanted: UUID) -> None:
    """Forget a subscription; each delivery that waits for it ends with its next attempt."""
    connection.execute(_SQL["delete_subscription"], {"tenant_id": tenant_id, "id": wanted})


def set_active(connection: Connection, tenant_id: UUID, wanted: UUID, *, is_active: bool) -> None:
    """Switch a subscription off or on; off, its waiting deliveries end undelivered."""
    connection.execute(
        _SQL["set_subscription_active"],
        {"tenant_id": tenant_id, "id": wanted, "is_active": is_active},
    )


def rotate_secret(
    connection: Connection,
    tenant_id: UUID,
    wanted: UUID,
    *,
    secret_sealed: bytes,
    now: datetime | None,
) -> None:
    """Replace the secret; the present one signs beside it for another 24 hours.

    Again with the same seal it changes nothing.
    """
    connection.execute(
        _SQL["rotate_secret"],
        {"tenant_id": tenant_id, "id": wanted, "secret_sealed": secret_sealed, "now": now},
    )


def put_test(
    connection: Connection, tenant_id: UUID, wanted: UUID, *, now: datetime | None
) -> UUID | None:
    """Put in an event that says nothing and return its delivery; None where it is switched off."""
    row = connection.execute(
        _SQL["put_test"], {"tenant_id": tenant_id, "id": wanted, "now": now}
    ).fetchone()
    return None if row is None else UUID(row[0])


def list_deliveries(
    connection: Connection,
    tenant_id: UUID,
    subscription_id: UUID,
    *,
    states: Sequence[str],
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Delivery]:
    """Return a subscription's deliveries in these states, the newest first, after `before`."""
    at, last = before or ("infinity", None)
    with connection.cursor(row_factory=class_row(Delivery)) as cursor:
        return cursor.execute(
            _SQL["list_deliveries"],
            {
                "tenant_id": tenant_id,
                "subscription_id": subscription_id,
                "states": list(states),
                "before": at,
                "before_id": last or UUID(int=0),
                "limit": limit,
            },
        ).fetchall()


def load(
    connection: Connection, tenant_id: UUID, delivery_id: UUID, *, now: datetime | None
) -> Due | None:
    """Return a delivery that is not finished; None for any other."""
    with connection.cursor(row_factory=class_row(Due)) as cursor:
        return cursor.execute(
            _SQL["load_delivery"], {"tenant_id": tenant_id, "id": delivery_id, "now": now}
        ).fetchone()


def load_event(connection: Connection, tenant_id: UUID, due: Due) -> dict[str, Any] | None:
    """Return what the event is about, as JSON values; None where it is not here any more."""
    statements = {
        "message": _SQL["load_message"],
        "echo": _SQL["load_message"],
        "status": _SQL["load_status"],
        "call": _SQL["load_call"],
    }
    values = {
        "message_id": due.message_id,
        "call_id": due.call_id,
        "account_id": due.account_id,
        "wa_message_id": due.wa_message_id,
        "status": due.status,
        "participant": due.participant,
        "occurred_at": due.occurred_at,
    }
    row = connection.execute(statements[due.kind], {"tenant_id": tenant_id, **values}).fetchone()
    return None if row is None else dict(row[0])


def record_attempt(
    connection: Connection,
    tenant_id: UUID,
    delivery_id: UUID,
    attempt: Mapping[str, Any],
    *,
    taken: bool,
    gone: bool,
    now: datetime | None,
) -> str | None:
    """Record an attempt and put in the next one where there is one; return the delivery's state.

    `attempt` holds `status`, `error` and `ms`. None: it was finished already, nothing is changed.
    """
    row = connection.execute(
        _SQL["record_attempt"],
        {
            "tenant_id": tenant_id,
            "id": delivery_id,
            "attempt": orjson.dumps(attempt).decode(),
            "taken": taken,
            "gone": gone,
            "now": now,
        },
    ).fetchone()
    return None if row is None else row[0]


def end_delivery(
    connection: Connection, tenant_id: UUID, delivery_id: UUID, error: str, *, now: datetime | None
) -> None:
    """Give a delivery up, for a reason that is no answer of the endpoint's."""
    connection.execute(
        _SQL["end_delivery"],
        {"tenant_id": tenant_id, "id": delivery_id, "error": error, "now": now},
    )


def retire(
    connection: Connection, *, keep: timedelta, limit: int, now: datetime | None
) -> tuple[int, int]:
    """Forget deliveries finished for longer than `keep`, and give lost ones their job again.

    Over all tenants, at most `limit` of each; returns how many were forgotten and put in.
    """
    row = connection.execute(_SQL["retire"], {"keep": keep, "limit": limit, "now": now}).fetchone()
    assert row is not None
    return row[0], row[1]
