"""Makes the monthly partitions ahead of time.

The doors make this month's and the next two: the job may fail for weeks before a row finds none.
"""

from __future__ import annotations

from switchboard.jobs._kind import Context, Effects, JobKind, NoArgs
from switchboard.store import jobs as store


def run(context: Context, _args: NoArgs) -> Effects:
    """Make what is missing; a table that a reader holds is left to the next attempt."""
    tools = context.tools
    with tools.db.transaction(statement_timeout_ms=20_000) as connection:
        made = store.ensure_partitions(connection, now=tools.clock.now)
    return Effects(result={"made": list(made)})


KIND = JobKind(name="ensure_partitions", args=NoArgs, run=run, needs_s=25.0, every_s=3600)
