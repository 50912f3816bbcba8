"""What the job tests share: tenants, jobs put in by hand, claims by the app role."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from switchboard.kernel.db import Connection
from switchboard.store import jobs as store
from switchboard.store.jobs import Claimed, Ended, Outcome
from tests.databases import ClonedDatabase, as_app

#: The tests' own time: far from the machine's, so that a statement that asks the clock is noticed.
START = datetime(2031, 3, 4, 12, 0, tzinfo=UTC)
LEASE = timedelta(seconds=60)


class Jobs:
    """A database's jobs as a superuser sees them, and its doors as the app role uses them."""

    def __init__(self, database: ClonedDatabase, everything: Connection, app: Connection) -> None:
        self.database = database
        self.everything = everything
        self.app = app

    def tenant(self, *, is_active: bool = True) -> UUID:
        """Make a tenant and return its id."""
        tenant = uuid.uuid4()
        self.everything.execute(
            "insert into messaging.tenants (id, slug, name, is_active) values (%s, %s, 'T', %s)",
            (tenant, f"t-{tenant}", is_active),
        )
        return tenant

    def put(
        self,
        tenant: UUID,
        job_type: str = "work",
        *,
        count: int = 1,
        lane: str | None = None,
        priority: int = 20,
        due: datetime = START,
        max_attempts: int = 8,
    ) -> list[int]:
        """Put `count` jobs in and return their ids, in order."""
        rows = self.everything.execute(
            "insert into messaging.scheduled_jobs"
            " (tenant_id, job_type, lane, priority, scheduled_for, max_attempts)"
            " select %s, %s, %s, %s, %s, %s from generate_series(1, %s) returning id",
            (tenant, job_type, lane, priority, due, max_attempts, count),
        ).fetchall()
        return [row[0] for row in rows]

    def claim(
        self,
        limit: int = 100,
        *,
        token: UUID | None = None,
        now: datetime = START,
        kinds: dict[str, int] | None = None,
    ) -> list[Claimed]:
        """Claim as a worker does."""
        return store.claim(
            self.app,
            kinds=kinds or {"work": 8},
            limit=limit,
            lease=LEASE,
            token=token or uuid.uuid4(),
            now=now,
        )

    def finish(
        self,
        token: UUID,
        jobs: list[Claimed],
        outcome: Outcome = "completed",
        *,
        now: datetime = START,
        **more: Any,
    ) -> set[int]:
        """Finish as a worker does; returns the ids recorded."""
        ended = [Ended(job.tenant_id, job.id, outcome, **more) for job in jobs]
        return store.finish(self.app, token, ended, now=now)

    def row(self, job_id: int) -> dict[str, Any]:
        """Return a job's whole row."""
        cursor = self.everything.execute(
            "select to_jsonb(j) from messaging.scheduled_jobs as j where id = %s", (job_id,)
        )
        found = cursor.fetchone()
        assert found is not None
        return dict(found[0])

    def count(self, status: str) -> int:
        """Return how many jobs there are with that status."""
        found = self.everything.execute(
            "select count(*) from messaging.scheduled_jobs where status = %s", (status,)
        ).fetchone()
        assert found is not None
        return int(found[0])

    @contextmanager
    def another_app(self) -> Iterator[Connection]:
        """Yield one more connection of the app role."""
        with as_app(self.database) as connection:
            yield connection


@contextmanager
def opened(database: ClonedDatabase) -> Iterator[Jobs]:
    """Yield the jobs of a test's database."""
    with database.everything() as everything, as_app(database) as app:
        yield Jobs(database, everything, app)
