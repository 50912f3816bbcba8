"""Forgets runs of automation rules that ended RUN_DAYS ago, but for those that still count."""

from __future__ import annotations

from datetime import timedelta

from switchboard.jobs._kind import Context, Effects, JobKind, NoArgs
from switchboard.store import automations as store

#: Rows of one transaction, and seconds of one run: what is left waits for the next one.
_BATCH = 500
_SLICE_S = 10.0


def run(context: Context, _args: NoArgs) -> Effects:
    """Delete them, tenant after tenant, in small transactions."""
    tools = context.tools
    end = min(context.deadline - 5.0, tools.clock.monotonic() + _SLICE_S)
    retired, place = 0, store.BEGINNING
    while place.tenant_id is not None:
        with tools.db.transaction(statement_timeout_ms=10_000) as connection:
            place = store.retire_runs(
                connection,
                keep=timedelta(days=tools.settings.run_days),
                limit=_BATCH,
                after=place,
                now=tools.clock.now,
            )
        retired += place.runs
        if tools.clock.monotonic() >= end:
            break
    return Effects(result={"retired": retired})


KIND = JobKind(name="retire_runs", args=NoArgs, run=run, needs_s=25.0, every_s=3600)
