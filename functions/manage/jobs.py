"""/v1/jobs: the tenant's work that waits, runs or has ended, and what people do about it."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from switchboard.access import Caller, Guarded
from switchboard.inbox import jobs
from switchboard.kernel.arguments import LIMIT, Nothing, read, read_number, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.tools import Tools


def get_jobs(tools: Tools, caller: Caller, request: Request) -> Response:
    """List jobs, the newest first."""
    wanted = read_query(jobs.JobFilter, request.query)
    return reply(200, jobs.list_jobs(tools, caller.tenant_id, wanted))


def get_job(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show a job with its result."""
    return reply(200, jobs.show_job(tools, caller.tenant_id, _id(request)))


def post_snooze(tools: Tools, caller: Caller, request: Request) -> Response:
    """Put a job off."""
    job_id = _id(request)
    until = read(jobs.Snoozed, request.json(LIMIT))
    return reply(200, jobs.snooze_job(tools, caller.tenant_id, job_id, until))


def _changing(change: Callable[[Tools, UUID, int], object]) -> Guarded:
    def run(tools: Tools, caller: Caller, request: Request) -> Response:
        job_id = _id(request)
        read(Nothing, request.json(LIMIT) if request.body(LIMIT).strip() else {})
        return reply(200, change(tools, caller.tenant_id, job_id))

    return Guarded("jobs:write", run)


def _id(request: Request) -> int:
    return read_number(request.path, "this job")


ROUTES = {
    "GET /v1/jobs": Guarded("jobs:read", get_jobs),
    "GET /v1/jobs/{id}": Guarded("jobs:read", get_job),
    "POST /v1/jobs/{id}/cancel": _changing(jobs.cancel_job),
    "POST /v1/jobs/{id}/retry": _changing(jobs.retry_job),
    "POST /v1/jobs/{id}/snooze": Guarded("jobs:write", post_snooze),
}
