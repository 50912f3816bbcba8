"""Jobs: put in by name, leased to workers under a token, ended under the same token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple
from uuid import UUID

import orjson
from psycopg import errors

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "jobs")
#: Bound once: a look-up and a claim happen in every turn of a worker.
_CLAIM, _FINISH, _FINISH_UNFLUSHED = _SQL["claim"], _SQL["finish"], _SQL["finish_unflushed"]

#: Priorities: the smaller one goes first, whatever the tenant.
HOUSEKEEPING, REPLIES, AUTOMATIONS, BULK = 0, 10, 20, 30

Outcome = Literal["completed", "retry", "snoozed", "failed"]


class Claimed(NamedTuple):
    """A job leased to a worker; `attempt` counts from 1 and includes this one.

    A tuple, as `Ended`: a hundred of them are made in a claim, and a frozen dataclass takes five
    times as long.
    """

    tenant_id: UUID
    id: int
    job_type: str
    args: Mapping[str, Any]
    attempt: int


class Ended(NamedTuple):
    """How a claimed job ended.

    `result` is JSON without personal data (completed), `error` the class of the error (retry,
    failed), `until` when it is due again (snoozed; of a retry None: a random part of 2, 4, 8 … 900
    s). A retry without an attempt left becomes failed.
    """

    tenant_id: UUID
    id: int
    outcome: Outcome
    result: Mapping[str, Any] | None = None
    error: str | None = None
    until: datetime | None = None


def enqueue(
    connection: Connection,
    *,
    tenant_id: UUID,
    job_type: str,
    args: Mapping[str, Any],
    lane: str | None = None,
    unique_key: str | None = None,
    priority: int = AUTOMATIONS,
    scheduled_for: datetime | None = None,
    now: datetime | None = None,
) -> int | None:
    """Put a job in, in the caller's transaction (which sees `tenant_id`'s rows), and return its id.

    None: one of this kind with this `unique_key` waits already. Jobs of one `lane` run one at a
    time in the order of their ids, and a later `scheduled_for` holds up those behind it. `args`
    hold ids only, never text or numbers.
    """
    row = connection.execute(
        _SQL["enqueue"],
        {
            "tenant_id": tenant_id,
            "job_type": job_type,
            "args": orjson.dumps(args).decode(),
            "lane": lane,
            "unique_key": unique_key,
            "priority": priority,
            "scheduled_for": scheduled_for,
            "now": now,
        },
    ).fetchone()
    return None if row is None else int(row[0])


def enqueue_periods(
    connection: Connection, periods: Mapping[str, int], *, now: datetime | None
) -> int:
    """Put in the present period of each kind (name to seconds) and return how many were new.

    In a transaction that sees the system tenant, to which these rows belong. None while another one
    is at it.
    """
    return connection.execute(
        _SQL["enqueue_periods"],
        {"names": list(periods), "seconds": list(periods.values()), "now": now},
    ).rowcount


def claim(
    connection: Connection,
    *,
    kinds: Mapping[str, int],
    limit: int,
    lease: timedelta,
    token: UUID,
    now: datetime | None,
) -> list[Claimed]:
    """Lease up to `limit` due jobs of `kinds` (name to most attempts) under a never used `token`.

    Over all tenants: by priority, in turns between tenants, each lane in order. Commits on its own.
    """
    rows = connection.execute(
        _CLAIM,
        {
            "kinds": list(kinds),
            "max_attempts": list(kinds.values()),
            "limit": limit,
            "lease": lease,
            "token": token,
            "now": now,
        },
    )
    return list(map(Claimed._make, rows))


def finish(
    connection: Connection,
    token: UUID,
    ended: Iterable[Ended],
    *,
    now: datetime | None,
    durable: bool = True,
) -> set[int]:
    """Record how jobs ended and return the ids recorded; the others were leased anew or taken back.

    In the caller's transaction: what is written beside it is committed with it or not at all. Not
    `durable`, outside a transaction: a server that crashes may forget it, as if the worker had been
    killed a moment before; no later claim is kept without it.
    """
    document = orjson.dumps(
        [
            {"t": job.tenant_id, "i": job.id, "o": job.outcome}
            if job.result is None and job.error is None and job.until is None
            else {
                "t": job.tenant_id,
                "i": job.id,
                "o": job.outcome,
                "r": job.result,
                "e": job.error,
                "u": job.until,
            }
            for job in ended
        ]
    )
    row = connection.execute(
        _FINISH if durable else _FINISH_UNFLUSHED,
        {"token": token, "ended": document.decode(), "now": now},
    ).fetchone()
    assert row is not None
    return set(row[0])


def sweep(connection: Connection, *, now: datetime | None) -> tuple[int, int]:
    """End leases that are over; returns how many jobs are pending again and how many failed."""
    row = connection.execute(_SQL["sweep"], {"now": now}).fetchone()
    assert row is not None
    return row[0], row[1]


def mark_worker(connection: Connection, worker: UUID, *, now: datetime | None) -> None:
    """Say that `worker` is awake: for a second from now nobody needs to nudge."""
    connection.execute(_SQL["mark_worker"], {"worker": worker, "now": now})


def clear_mark(connection: Connection, worker: UUID, *, now: datetime | None) -> None:
    """Say that `worker` is about to end."""
    connection.execute(_SQL["clear_mark"], {"worker": worker, "now": now})


def await_intakes(connection: Connection) -> bool:
    """Wait for transactions that still count on a mark cleared by now; outside a transaction.

    False when they take longer than 100 ms: what they put in may need a nudge.
    """
    try:
        connection.execute(_SQL["await_intakes"])
    except errors.LockNotAvailable:
        return False
    return True


def ensure_partitions(connection: Connection, *, now: datetime | None) -> Sequence[str]:
    """Make the months' partitions that are missing, and return their names.

    Raises psycopg.errors.LockNotAvailable while a reader holds the table: the next run tries again.
    """
    return [str(row[0]) for row in connection.execute(_SQL["ensure_partitions"], {"now": now})]
