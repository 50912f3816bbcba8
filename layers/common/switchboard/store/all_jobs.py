"""Jobs of all tenants: for the operator's admin commands alone, which run as the owner."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from switchboard.kernel.db import Connection, queries
from switchboard.store.tenants import as_door

_SQL = queries(__package__ or "", "all_jobs")


@dataclass(frozen=True, slots=True)
class FoundJob:
    """A job and the slug of its tenant; None for one of a tenant that is no more."""

    tenant: str | None
    id: int
    type: str
    status: str
    priority: int
    lane: str | None
    attempts: int
    scheduled_for: datetime
    executed_at: datetime | None
    finished_at: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True)
class TenantDepth:
    """How many jobs of one priority a tenant has; `failed`: in the last hour.

    `oldest_due`: of those that lack nothing but a worker.
    """

    priority: int
    tenant: str | None
    pending: int
    due: int
    running: int
    failed: int
    oldest_due: datetime | None


def find(
    connection: Connection, *, status: str, job_type: str | None, limit: int
) -> list[FoundJob]:
    """Return up to `limit` jobs of all tenants that are pending, running or failed.

    The longest due, the longest running or the latest failed first; inside a transaction.
    """
    values = {"status": status, "job_type": job_type, "limit": limit}
    with as_door(connection):
        return [FoundJob(*row) for row in connection.execute(_SQL["find"], values)]


def measure(connection: Connection, *, now: datetime | None) -> list[TenantDepth]:
    """Count the jobs by priority and tenant, the oldest first; inside a transaction."""
    with as_door(connection):
        return [TenantDepth(*row) for row in connection.execute(_SQL["measure"], {"now": now})]
