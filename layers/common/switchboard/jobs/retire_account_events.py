"""Forgets what Meta told about accounts: the log only, what it says of their state stays."""

from __future__ import annotations

from datetime import timedelta

from switchboard.jobs._kind import Context, Effects, JobKind, NoArgs
from switchboard.jobs._retire import retire
from switchboard.kernel.db import Connection
from switchboard.store import account_events as store

#: How long an event can be looked up. Some hold what people wrote (copies of other apps' messages).
KEEP = timedelta(days=180)


def run(context: Context, _args: NoArgs) -> Effects:
    """Delete what is older than that, whatever its tenant."""

    def delete(connection: Connection, limit: int) -> int:
        return store.retire(connection, keep=KEEP, limit=limit, now=context.tools.clock.now)

    return Effects(result={"retired": retire(context, delete)})


KIND = JobKind(name="retire_account_events", args=NoArgs, run=run, needs_s=25.0, every_s=3600)
