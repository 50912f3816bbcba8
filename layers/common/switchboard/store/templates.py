"""Templates of business accounts: what Meta answers and what its webhooks say, in one row each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "templates")


@dataclass(frozen=True, slots=True)
class Template:
    """A template; `status`, `category` and `quality_score` are Meta's words, the newest told.

    `components` in Meta's shape as fetched at `components_fetched_at` (None: never, they are what
    was submitted or unknown); `components_stale`: Meta has told of a change since.
    """

    id: UUID
    waba_id: str
    template_id: str | None
    name: str
    language: str
    status: str | None
    status_at: datetime | None
    approved_at: datetime | None
    rejection_reason: str | None
    rejection_info: dict[str, Any] | None
    disable_info: dict[str, Any] | None
    other_info: dict[str, Any] | None
    category: str | None
    sub_category: str | None
    previous_category: str | None
    coming_category: str | None
    coming_category_at: datetime | None
    correct_category: str | None
    quality_score: str
    parameter_format: str | None
    message_send_ttl_seconds: int | None
    library_template_name: str | None
    components: list[dict[str, Any]] | None
    components_fetched_at: datetime | None
    components_stale: bool
    submitted_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Step:
    """A template that a walk came by: it fits the filters, or it is the walk's last one."""

    id: UUID
    waba_id: str
    name: str
    language: str
    matches: bool
    place: int


def tell_time(connection: Connection, *, now: datetime | None) -> datetime:
    """Return the database's time: when Meta is asked, as rows are told."""
    row = connection.execute(_SQL["tell_time"], {"now": now}).fetchone()
    assert row is not None
    told: datetime = row[0]
    return told


def begin_change(
    connection: Connection,
    tenant_id: UUID,
    waba_id: str,
    name: str,
    language: str,
    *,
    now: datetime | None,
) -> datetime:
    """Return the time of a change that Meta is about to be asked for."""
    row = connection.execute(
        _SQL["begin_change"],
        {
            "tenant_id": tenant_id,
            "waba_id": waba_id,
            "name": name,
            "language": language,
            "now": now,
        },
    ).fetchone()
    assert row is not None
    asked: datetime = row[0]
    return asked


def keep(
    connection: Connection,
    tenant_id: UUID,
    waba_id: str,
    templates: Sequence[Mapping[str, Any]],
    *,
    asked: datetime,
    now: datetime | None,
    whole: bool = True,
    submitted: datetime | None = None,
) -> list[UUID]:
    """Keep what Meta answered to a question of the time `asked`; return the rows' ids.

    Each of `templates` has `name`, `language` (with `_`), `states` (aspect to value) and the
    columns that are fetched. Not `whole`: its components are what was submitted, to be fetched.
    """
    rows = connection.execute(
        _SQL["keep"],
        {
            "tenant_id": tenant_id,
            "waba_id": waba_id,
            "templates": orjson.dumps(list(templates)).decode(),
            "asked": asked,
            "whole": whole,
            "submitted": submitted,
            "now": now,
        },
    )
    return [row[0] for row in rows]


def end_sync(connection: Connection, tenant_id: UUID, waba_id: str, *, asked: datetime) -> int:
    """Mark as deleted what a complete sync, begun at `asked`, did not find; return how many."""
    parameters = {"tenant_id": tenant_id, "waba_id": waba_id, "asked": asked}
    row = connection.execute(_SQL["end_sync"], parameters).fetchone()
    assert row is not None
    connection.execute(_SQL["note_synced"], parameters)
    return int(row[0])


def leave_sync(
    connection: Connection, tenant_id: UUID, waba_id: str, *, began_at: datetime, after: str
) -> None:
    """Keep where the sync that began then goes on, unless a newer one was left there."""
    connection.execute(
        _SQL["leave_sync"],
        {"tenant_id": tenant_id, "waba_id": waba_id, "began_at": began_at, "after": after},
    )


def find_left_sync(
    connection: Connection, tenant_id: UUID, waba_id: str, *, began_at: datetime
) -> str | None:
    """Return Meta's cursor where the sync that began then goes on; None: a newer one took over."""
    row = connection.execute(
        _SQL["find_left_sync"],
        {"tenant_id": tenant_id, "waba_id": waba_id, "began_at": began_at},
    ).fetchone()
    return None if row is None else row[0]


def note_sync_error(connection: Connection, tenant_id: UUID, waba_id: str, reason: str) -> None:
    """Keep why the account's templates could not be synced, until they can."""
    connection.execute(
        _SQL["note_sync_error"], {"tenant_id": tenant_id, "waba_id": waba_id, "reason": reason}
    )


def mark_deleted(
    connection: Connection,
    tenant_id: UUID,
    waba_id: str,
    name: str,
    language: str | None,
    *,
    now: datetime | None,
) -> None:
    """Mark a template as deleted at Meta, in all languages where `language` is None."""
    connection.execute(
        _SQL["mark_deleted"],
        {
            "tenant_id": tenant_id,
            "waba_id": waba_id,
            "name": name,
            "language": language,
            "now": now,
        },
    )


def walk(
    connection: Connection,
    tenant_id: UUID,
    *,
    after: tuple[str, str, str],
    walk: int,
    limit: int,
    waba: str | None = None,
    status: str | None = None,
    category: str | None = None,
    name: str | None = None,
    language: str | None = None,
    quality: str | None = None,
) -> list[Step]:
    """Return up to `limit` + 1 templates after (waba_id, name, language) that fit.

    Of the next `walk` ones; the one at the place `walk`, if there are as many, is among them
    whether it fits or not.
    """
    parameters = {
        "tenant_id": tenant_id,
        "after_waba": after[0],
        "after_name": after[1],
        "after_language": after[2],
        "walk": walk,
        "limit": limit,
        "waba": waba,
        "status": status,
        "category": category,
        "name": name,
        "language": language,
        "quality": quality,
    }
    return [Step(*row) for row in connection.execute(_SQL["walk"], parameters)]


def load(connection: Connection, tenant_id: UUID, ids: Sequence[UUID]) -> list[Template]:
    """Return these templates by account, name and language."""
    rows = connection.execute(_SQL["load"], {"tenant_id": tenant_id, "ids": list(ids)})
    return [Template(*row) for row in rows]


def put_syncs(connection: Connection, *, spread: timedelta, now: datetime | None) -> int:
    """Put in the syncs of all active accounts of all tenants; return how many were not there."""
    row = connection.execute(_SQL["put_syncs"], {"spread": spread, "now": now}).fetchone()
    assert row is not None
    return int(row[0])
