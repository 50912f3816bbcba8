"""A tenant's numbers and business accounts: for whoever asks Meta of them, and as shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "numbers")


@dataclass(frozen=True, slots=True)
class Number:
    """A number by its ids; the token is sealed."""

    account_id: UUID
    waba_id: str
    phone_number_id: str
    access_token: bytes | None


@dataclass(frozen=True, slots=True)
class BusinessAccount:
    """A business account, with the sealed token of its newest active number that has one."""

    waba_id: str
    app_id: str | None
    access_token: bytes | None


@dataclass(frozen=True, slots=True)
class BusinessNumber:
    """A number as its tenant sees it; no token is ever in it.

    `status` is our word (pending, connected, disconnected, suspended, error), `meta_status` Meta's.
    `pauses` are those that hold now: {"of": number or account, "until": null until somebody mends
    it, "reason"}. `account` is its business account: name, portfolio, review, ban, restrictions,
    limits, callback override. `last_synced_at`: when Meta was asked last.
    """

    phone_number_id: str
    waba_id: str
    phone_number: str
    display_name: str
    verified_name: str | None
    name_status: str | None
    username: str | None
    username_status: str | None
    quality_rating: str
    messaging_limit: str | None
    throughput: str
    is_coexistence: bool
    status: str
    meta_status: str | None
    account_mode: str | None
    code_verification: str | None
    health: dict[str, Any] | None
    meta_settings: dict[str, Any]
    is_active: bool
    stopped_at: datetime | None
    tenant_stopped_at: datetime | None
    pauses: list[dict[str, Any]]
    account: dict[str, Any]
    webhook_url: str | None
    has_token: bool
    token_expires_at: datetime | None
    auto_mark_read: bool
    acknowledging_reaction: str | None
    resend_once: bool
    confirm_consents: bool
    last_synced_at: datetime | None
    created_at: datetime


def find(connection: Connection, tenant_id: UUID, phone_number_id: str) -> Number | None:
    """Return the tenant's number, active or not, or None."""
    row = connection.execute(
        _SQL["find"], {"tenant": tenant_id, "phone_number_id": phone_number_id}
    ).fetchone()
    return None if row is None else Number(*row)


def find_by_id(connection: Connection, tenant_id: UUID, account_id: UUID) -> Number | None:
    """Return an active number that has a token, or None."""
    row = connection.execute(
        _SQL["find_by_id"], {"tenant": tenant_id, "account": account_id}
    ).fetchone()
    return None if row is None else Number(*row)


def find_account(connection: Connection, tenant_id: UUID, waba_id: str) -> BusinessAccount | None:
    """Return the tenant's business account, active or not, or None."""
    row = connection.execute(
        _SQL["find_account"], {"tenant": tenant_id, "waba_id": waba_id}
    ).fetchone()
    return None if row is None else BusinessAccount(*row)


def shown(
    connection: Connection,
    tenant_id: UUID,
    phone_number_id: str | None = None,
    *,
    after: str = "",
    limit: int = 1,
    now: datetime | None,
) -> list[BusinessNumber]:
    """Return one number, or up to `limit` in the order of their ids from the one after `after`."""
    with connection.cursor(row_factory=class_row(BusinessNumber)) as cursor:
        return cursor.execute(
            _SQL["shown"],
            {
                "tenant": tenant_id,
                "phone_number_id": phone_number_id,
                "after": after,
                "limit": limit,
                "now": now,
            },
        ).fetchall()


def change(
    connection: Connection, tenant_id: UUID, phone_number_id: str, settings: Mapping[str, Any]
) -> None:
    """Change the settings that are given, by their columns' names."""
    connection.execute(
        _SQL["change"],
        {
            "tenant": tenant_id,
            "phone_number_id": phone_number_id,
            "change": Jsonb(dict(settings)),
        },
    )


def clock(connection: Connection, *, now: datetime | None) -> datetime:
    """Return the database's time."""
    row = connection.execute(_SQL["clock"], {"now": now}).fetchone()
    assert row is not None
    time: datetime = row[0]
    return time


def keep_fetched(
    connection: Connection,
    tenant_id: UUID,
    account_id: UUID,
    told: Mapping[str, Any],
    *,
    asked_at: datetime,
) -> None:
    """Take up what Meta answered of a number: {aspect: value}, as its webhooks are taken up."""
    given = {"tenant": tenant_id, "account": account_id, "asked_at": asked_at}
    connection.execute(_SQL["keep_fetched"], {**given, "told": Jsonb(dict(told))})
    connection.execute(_SQL["mark_synced"], given)


def set_override(
    connection: Connection,
    tenant_id: UUID,
    phone_number_id: str,
    *,
    url: str | None,
    verify_token: bytes | None,
    now: datetime | None,
) -> None:
    """Remember a number's callback override; the token is sealed."""
    connection.execute(
        _SQL["set_override"],
        {
            "tenant": tenant_id,
            "phone_number_id": phone_number_id,
            "url": url,
            "verify_token": verify_token,
            "now": now,
        },
    )


def set_account_override(
    connection: Connection,
    tenant_id: UUID,
    waba_id: str,
    *,
    url: str | None,
    verify_token: bytes | None,
) -> None:
    """Remember a business account's callback override; the token is sealed."""
    connection.execute(
        _SQL["set_account_override"],
        {"tenant": tenant_id, "waba_id": waba_id, "url": url, "verify_token": verify_token},
    )


def account_override(connection: Connection, tenant_id: UUID, waba_id: str) -> str | None:
    """Return the callback override that was set from here."""
    row = connection.execute(
        _SQL["account_override"], {"tenant": tenant_id, "waba_id": waba_id}
    ).fetchone()
    return None if row is None or row[0] is None else str(row[0])


def enqueue_syncs(connection: Connection, *, spread_s: int, now: datetime | None) -> int:
    """Put in a job for every number of every tenant that can be asked about; return how many."""
    row = connection.execute(_SQL["enqueue_syncs"], {"spread": spread_s, "now": now}).fetchone()
    assert row is not None
    return int(row[0])
