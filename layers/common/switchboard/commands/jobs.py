"""jobs: a tenant's work that waits, runs or has ended."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from switchboard.commands._resource import Command, Resource
from switchboard.inbox import jobs
from switchboard.inbox.jobs import JobFilter, Snoozed
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.page import Page
from switchboard.store.jobs_by_hand import ScheduledJob
from switchboard.tools import Tools


class TheJob(Arguments):
    """One job."""

    job: int = Field(description="the job's id")


class SnoozedJob(TheJob, Snoozed):
    """One job and until when it is put off."""


def list_jobs(tools: Tools, tenant_id: UUID, wanted: JobFilter) -> Page[ScheduledJob]:
    """List jobs, the newest first."""
    return jobs.list_jobs(tools, tenant_id, wanted)


def show_job(tools: Tools, tenant_id: UUID, which: TheJob) -> ScheduledJob:
    """Show a job with its result."""
    return jobs.show_job(tools, tenant_id, which.job)


def cancel_job(tools: Tools, tenant_id: UUID, which: TheJob) -> ScheduledJob:
    """Cancel a job that waits or runs; a running one writes nothing more."""
    return jobs.cancel_job(tools, tenant_id, which.job)


def retry_job(tools: Tools, tenant_id: UUID, which: TheJob) -> ScheduledJob:
    """Let a failed or cancelled job run again."""
    return jobs.retry_job(tools, tenant_id, which.job)


def snooze_job(tools: Tools, tenant_id: UUID, which: SnoozedJob) -> ScheduledJob:
    """Put a pending job off."""
    return jobs.snooze_job(tools, tenant_id, which.job, Snoozed(until=which.until))


_ID = "--job 4711"
KIND = Resource(
    "jobs",
    "work that waits, runs or has ended (housekeeping: --tenant system)",
    (
        Command(
            "list",
            JobFilter,
            list_jobs,
            "--status failed",
            ("id", "type", "status", "priority", "attempts", "scheduled_for", "error"),
        ),
        Command("show", TheJob, show_job, _ID),
        Command("cancel", TheJob, cancel_job, _ID),
        Command("retry", TheJob, retry_job, _ID),
        Command("snooze", SnoozedJob, snooze_job, f"{_ID} --until 2027-01-31T09:00:00Z"),
    ),
)
