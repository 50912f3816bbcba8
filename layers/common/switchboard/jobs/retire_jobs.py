"""Forgets jobs that ended JOB_DAYS ago, however they ended.

A period's job stays while it is the newest of its kind: the period is put in once, whatever is
deleted.
"""

from __future__ import annotations

from datetime import timedelta

from switchboard.jobs._kind import Context, Effects, JobKind, NoArgs
from switchboard.jobs._retire import retire_along
from switchboard.kernel.db import Connection
from switchboard.store import jobs_by_hand as store


def run(context: Context, _args: NoArgs) -> Effects:
    """Delete them, tenant after tenant."""
    tools = context.tools

    def delete(connection: Connection, limit: int, place: store.Retired) -> store.Retired:
        return store.retire(
            connection,
            keep=timedelta(days=tools.settings.job_days),
            limit=limit,
            after=place,
            now=tools.clock.now,
        )

    return Effects(result={"retired": retire_along(context, delete, store.BEGINNING)})


KIND = JobKind(name="retire_jobs", args=NoArgs, run=run, needs_s=25.0, every_s=600)
