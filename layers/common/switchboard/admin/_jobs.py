"""What the operator asks about the jobs of all tenants; one tenant's are `commands.jobs`."""

from __future__ import annotations

from switchboard.admin._arguments import JobSearch, Nothing
from switchboard.admin._use_cases import owners_transaction
from switchboard.store import all_jobs as store
from switchboard.store.all_jobs import FoundJob, TenantDepth
from switchboard.tools import Tools


def measure_jobs(tools: Tools, _: Nothing | None = None) -> list[TenantDepth]:
    """Count the jobs of all tenants: what waits, since when, what runs, what failed this hour."""
    with owners_transaction(tools) as connection:
        return store.measure(connection, now=tools.clock.now)


def find_jobs(tools: Tools, wanted: JobSearch) -> list[FoundJob]:
    """Return jobs of all tenants: the latest failed, the longest running or the longest due."""
    with owners_transaction(tools) as connection:
        return store.find(
            connection, status=wanted.status, job_type=wanted.type, limit=wanted.limit
        )
