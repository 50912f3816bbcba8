"""Ends flow sessions that nobody filled in within their time."""

from __future__ import annotations

from switchboard.jobs._kind import Context, Effects, JobKind, NoArgs
from switchboard.jobs._retire import retire
from switchboard.kernel.db import Connection
from switchboard.store import flow_sessions as store


def run(context: Context, _args: NoArgs) -> Effects:
    """End what is over, whatever its tenant; a later answer completes it all the same."""

    def expire(connection: Connection, limit: int) -> int:
        return store.expire(connection, limit=limit, now=context.tools.clock.now)

    return Effects(result={"ended": retire(context, expire)})


KIND = JobKind(name="expire_flow_sessions", args=NoArgs, run=run, needs_s=25.0, every_s=600)
