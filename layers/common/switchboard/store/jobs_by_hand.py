"""Jobs as people see and change them: listed, cancelled, retried, put off, counted, forgotten.

Workers have `store.jobs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from switchboard.kernel.db import Connection, queries
from switchboard.store.events import SYSTEM_TENANT

_SQL = queries(__package__ or "", "jobs_by_hand")


@dataclass(frozen=True, slots=True)
class ScheduledJob:
    """A job. `scheduled_for`: due from then on; `executed_at`: when its newest attempt began.

    `args` are ids, times and counts, `error` is the class of the last error. `unique_key` is given
    up when the job is first run. `lease_until` only while it is running.
    """

    id: int
    type: str
    status: str
    priority: int
    lane: str | None
    unique_key: str | None
    period_key: str | None
    args: Mapping[str, Any]
    attempts: int
    max_attempts: int
    created_at: datetime
    scheduled_for: datetime
    executed_at: datetime | None
    lease_until: datetime | None
    finished_at: datetime | None
    result: Any
    error: str | None


class Step(NamedTuple):
    """A job that a walk has come to, whether it fits, and which of the walk's it is (from 1)."""

    job: ScheduledJob
    matches: bool
    place: int


@dataclass(frozen=True, slots=True)
class Depth:
    """How many jobs of one tenant and priority there are; `failed`: in the hour before.

    `oldest_due` is of those that nothing but a free worker is missing; `age_s` its age.
    """

    tenant_id: UUID
    priority: int
    pending: int
    due: int
    running: int
    failed: int
    oldest_due: datetime | None
    age_s: float | None


def walk(
    connection: Connection,
    tenant_id: UUID,
    *,
    before: int | None,
    walk: int,
    limit: int,
    status: str | None,
    job_type: str | None,
    lane: str | None,
    unique_key: str | None,
) -> list[Step]:
    """Return up to `limit` + 1 jobs that fit, the newest first, out of `walk` looked at.

    Of failed ones only the failed are looked at. The last one of the walk, if there are as many, is
    among them whether it fits or not.
    """
    failed = status == "failed"
    parameters = {
        "tenant_id": tenant_id,
        "before": 2**63 - 1 if before is None else before,
        "walk": walk,
        "limit": limit,
        "job_type": job_type,
        "lane": lane,
        "unique_key": unique_key,
        **({} if failed else {"status": status}),
    }
    rows = connection.execute(_SQL["list_failed" if failed else "list"], parameters)
    return [Step(ScheduledJob(*row[:-2]), *row[-2:]) for row in rows]


def find(connection: Connection, tenant_id: UUID, job_id: int) -> ScheduledJob | None:
    """Return the job, None where the tenant has none of that id."""
    row = connection.execute(_SQL["find"], {"tenant_id": tenant_id, "id": job_id}).fetchone()
    return None if row is None else ScheduledJob(*row)


def cancel(connection: Connection, tenant_id: UUID, job_id: int, *, now: datetime | None) -> bool:
    """Cancel a job that waits or runs; False where it does neither."""
    values = {"tenant_id": tenant_id, "id": job_id, "now": now}
    return connection.execute(_SQL["cancel"], values).rowcount == 1


def retry(connection: Connection, tenant_id: UUID, job_id: int, *, now: datetime | None) -> bool:
    """Make a failed or cancelled job pending and due, no attempt spent; False where it is neither.

    Raises psycopg.errors.UniqueViolation where another one waits under its unique key.
    """
    values = {"tenant_id": tenant_id, "id": job_id, "now": now}
    return connection.execute(_SQL["retry"], values).rowcount == 1


def snooze(connection: Connection, tenant_id: UUID, job_id: int, *, until: datetime) -> bool:
    """Let a pending job be due at `until`; False where it is not pending."""
    values = {"tenant_id": tenant_id, "id": job_id, "until": until}
    return connection.execute(_SQL["snooze"], values).rowcount == 1


def measure(connection: Connection, *, now: datetime | None) -> list[Depth]:
    """Count the jobs of all tenants, by priority and tenant; no row where there is none."""
    return [Depth(*row) for row in connection.execute(_SQL["measure"], {"now": now})]


class Retired(NamedTuple):
    """How many jobs were forgotten, and the place to go on behind; no tenant: that was all."""

    gone: int
    tenant_id: UUID | None
    id: int


#: Before the first job.
BEGINNING = Retired(0, SYSTEM_TENANT, 0)


def retire(
    connection: Connection, *, keep: timedelta, limit: int, after: Retired, now: datetime | None
) -> Retired:
    """Forget about `limit` jobs of all tenants, behind `after`, that ended longer ago than `keep`.

    It looks at no more than twenty times as many.
    """
    values = {
        "keep": keep,
        "limit": limit,
        "tenant_id": after.tenant_id,
        "id": after.id,
        "now": now,
    }
    row = connection.execute(_SQL["retire"], values).fetchone()
    assert row is not None
    return Retired(*row)
