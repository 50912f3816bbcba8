"""Jobs as people see and change them: what waits, what runs, what came of it.

What is done to a job is a guarded update: it counts only while the job is in a state that it is
meant for, whatever its worker does at the same time.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from psycopg import errors as pg
from pydantic import AwareDatetime, Field

from switchboard.kernel.arguments import Arguments, read_number
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import Conflict, NotFound, Unprocessable
from switchboard.kernel.page import WALK, Page, Paged, read_cursor, refused, write_cursor
from switchboard.store import jobs_by_hand as store
from switchboard.store.jobs_by_hand import ScheduledJob
from switchboard.tools import Tools
from switchboard.transact import transact

#: How far a job can be put off.
LONGEST = timedelta(days=366)
#: Ids are 64 bits wide.
_BEYOND = 2**63

Status = Literal["pending", "running", "completed", "failed", "cancelled"]


class JobFilter(Paged):
    """Which jobs: those that fit everything given."""

    status: Status | None = Field(
        None, description="pending, running, completed, failed or cancelled"
    )
    type: str | None = Field(None, max_length=100, description="of this kind, such as notify")
    lane: str | None = Field(None, max_length=200, description="of this lane")
    unique_key: str | None = Field(
        None, max_length=200, description="under this key, which a job has until it is first run"
    )


class Snoozed(Arguments):
    """Until when a job is put off."""

    until: AwareDatetime = Field(
        description="due from then on, as 2027-01-31T09:00:00Z; at most 366 days ahead"
    )


def list_jobs(tools: Tools, tenant_id: UUID, wanted: JobFilter) -> Page[ScheduledJob]:
    """Return jobs, the newest first."""

    def read(connection: Connection) -> Page[ScheduledJob]:
        filtered = any((wanted.status, wanted.type, wanted.lane, wanted.unique_key))
        steps = store.walk(
            connection,
            tenant_id,
            before=_position(wanted),
            # Only what stands above the walk makes it longer than a page.
            walk=WALK if filtered else wanted.limit + 1,
            limit=wanted.limit,
            status=wanted.status,
            job_type=wanted.type,
            lane=wanted.lane,
            unique_key=wanted.unique_key,
        )
        fitting = [step.job for step in steps if step.matches]
        shown = fitting[: wanted.limit]
        if len(fitting) > len(shown):
            last = shown[-1]
        elif steps and steps[-1].place == WALK:
            last = steps[-1].job
        else:
            return Page(shown, None)
        return Page(shown, write_cursor("jobs", wanted, str(last.id)))

    return transact(tools, tenant_id, read)


def show_job(tools: Tools, tenant_id: UUID, job_id: int) -> ScheduledJob:
    """Return a job with its result; raises NotFound."""
    return transact(tools, tenant_id, lambda connection: _show(connection, tenant_id, job_id))


def cancel_job(tools: Tools, tenant_id: UUID, job_id: int) -> ScheduledJob:
    """Cancel a job that waits or runs; one that is cancelled stays so.

    A running one loses its lease: its worker goes on to the end of the run, but nothing of what it
    would have written with the completion is written. What it has asked of others, or committed
    before, has happened. Raises NotFound, Conflict for one that has ended.
    """

    def cancel(connection: Connection) -> bool:
        return store.cancel(connection, tenant_id, job_id, now=tools.clock.now)

    return _change(tools, tenant_id, job_id, cancel, "cancelled", already="cancelled")


def retry_job(tools: Tools, tenant_id: UUID, job_id: int) -> ScheduledJob:
    """Let a failed or cancelled job run again, now and with all its attempts.

    Raises NotFound, Conflict for one that is neither and where another one waits under its key.
    """

    def retry(connection: Connection) -> bool:
        return store.retry(connection, tenant_id, job_id, now=tools.clock.now)

    try:
        job = _change(tools, tenant_id, job_id, retry, "retried")
    except pg.UniqueViolation:
        raise Conflict("another job waits under this one's unique_key, and does its work") from None
    tools.nudge()
    return job


def snooze_job(tools: Tools, tenant_id: UUID, job_id: int, wanted: Snoozed) -> ScheduledJob:
    """Put a pending job off, and with it those behind it in its lane; a time that is over: now.

    Raises NotFound, Conflict for one that is not pending, Unprocessable for a time too far ahead.
    """
    now = tools.clock.now or datetime.now(UTC)
    if wanted.until > now + LONGEST:
        raise Unprocessable("until is more than 366 days ahead", field="until")

    def snooze(connection: Connection) -> bool:
        return store.snooze(connection, tenant_id, job_id, until=wanted.until)

    job = _change(tools, tenant_id, job_id, snooze, "put off")
    if wanted.until <= now:
        tools.nudge()
    return job


def _change(
    tools: Tools,
    tenant_id: UUID,
    job_id: int,
    update: Callable[[Connection], bool],
    what: str,
    *,
    already: str | None = None,
) -> ScheduledJob:
    """Run a guarded update and return the job as it then is; one in the state `already` as well."""
    changed = False

    def write(connection: Connection) -> ScheduledJob:
        nonlocal changed
        # Where the link was lost at the commit, the first run has changed it.
        changed = (0 < job_id < _BEYOND and update(connection)) or changed
        job = _show(connection, tenant_id, job_id)
        if not changed and job.status != already:
            raise Conflict(f"a job that is {job.status} cannot be {what}")
        return job

    return transact(tools, tenant_id, write)


def _show(connection: Connection, tenant_id: UUID, job_id: int) -> ScheduledJob:
    job = store.find(connection, tenant_id, job_id) if 0 < job_id < _BEYOND else None
    if job is None:
        raise NotFound("this job is not known")
    return job


def _position(wanted: JobFilter) -> int | None:
    position = read_cursor("jobs", wanted, 1)
    if position is None:
        return None
    try:
        return read_number({"id": position[0] or ""}, "")
    except NotFound:
        raise refused() from None
