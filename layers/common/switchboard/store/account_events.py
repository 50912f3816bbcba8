"""What Meta told about accounts: listed and forgotten. Intake writes it (store.events)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "account_events")


@dataclass(frozen=True, slots=True)
class AccountEvent:
    """One event; docs/data-model.md tells each member.

    `account_id` and `phone_number_id` are its number's, None where it is about the whole business
    account. `occurred_at` is Meta's time, None where it told none; `created_at` is when it came.
    """

    id: UUID
    waba_id: str
    account_id: UUID | None
    phone_number_id: str | None
    field: str
    event: str
    detail: dict[str, Any]
    occurred_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Step:
    """An event that a walk came by: it fits the filters, or it is the walk's last one."""

    event: AccountEvent
    matches: bool
    place: int


def walk(
    connection: Connection,
    tenant_id: UUID,
    *,
    after: tuple[datetime, UUID] | None,
    walk: int,
    limit: int,
    waba_id: str | None = None,
    number: str | None = None,
    field: str | None = None,
    event: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Step]:
    """Return up to `limit` + 1 events after a position, the newest received first.

    They are those of the next `walk` received in [since, until) that fit; the one at the place
    `walk`, if there are as many, is among them whether it fits or not. `number` is a
    phone_number_id or an account's id.
    """
    # No id is smaller than the first one, so that the time itself is out.
    at, last = after or (until or "infinity", UUID(int=0))
    parameters = {
        "tenant_id": tenant_id,
        "before": at,
        "before_id": last,
        "since": since or "-infinity",
        "walk": walk,
        "limit": limit,
        "waba_id": waba_id,
        "number": number,
        "field": field,
        "event": event,
    }
    rows = connection.execute(_SQL["list"], parameters)
    return [Step(AccountEvent(*row[:-2]), *row[-2:]) for row in rows]


def retire(connection: Connection, *, keep: timedelta, limit: int, now: datetime | None) -> int:
    """Delete up to `limit` events of all tenants received longer ago; return how many."""
    values = {"keep": keep, "limit": limit, "now": now}
    row = connection.execute(_SQL["retire"], values).fetchone()
    assert row is not None
    return int(row[0])
