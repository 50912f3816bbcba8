"""Forgets what became of old deliveries, and puts right those whose job was lost."""

from __future__ import annotations

from datetime import timedelta

from switchboard.jobs._kind import Context, Effects, JobKind, NoArgs
from switchboard.jobs._retire import retire
from switchboard.kernel.db import Connection
from switchboard.store import subscriptions as store

#: How long the result of a delivery can be looked up.
KEEP = timedelta(days=30)


def run(context: Context, _args: NoArgs) -> Effects:
    """Delete what is older than that, whatever its tenant."""
    requeued = 0

    def delete(connection: Connection, limit: int) -> int:
        nonlocal requeued
        gone, put = store.retire(connection, keep=KEEP, limit=limit, now=context.tools.clock.now)
        requeued += put
        return gone

    retired = retire(context, delete)
    return Effects(result={"retired": retired, "requeued": requeued})


KIND = JobKind(name="retire_deliveries", args=NoArgs, run=run, needs_s=25.0, every_s=3600)
