"""Deletes verifications whose codes have been over for 30 days."""

from __future__ import annotations

from switchboard.jobs._kind import Context, Effects, JobKind, NoArgs
from switchboard.jobs._retire import retire
from switchboard.kernel.db import Connection
from switchboard.store import verifications as store


def run(context: Context, _args: NoArgs) -> Effects:
    """Delete what has ended, whatever its tenant."""

    def delete(connection: Connection, limit: int) -> int:
        return store.retire(connection, limit=limit, now=context.tools.clock.now)

    return Effects(result={"retired": retire(context, delete)})


KIND = JobKind(name="retire_verifications", args=NoArgs, run=run, needs_s=25.0, every_s=3600)
