"""Once a day: a job for every number that Meta can be asked about, of every tenant."""

from __future__ import annotations

from switchboard.jobs._kind import Context, Effects, JobKind, NoArgs
from switchboard.store import numbers as store

#: Seconds over which the jobs of a day are spread: Meta counts questions by the hour.
SPREAD_S = 3_600


def run(context: Context, _args: NoArgs) -> Effects:
    """Put the jobs in; to run twice is harmless, since one that waits already is left."""
    tools = context.tools
    with tools.db.transaction(context.tenant_id, statement_timeout_ms=20_000) as connection:
        count = store.enqueue_syncs(connection, spread_s=SPREAD_S, now=tools.clock.now)
    return Effects(result={"numbers": count})


KIND = JobKind(name="sync_numbers", args=NoArgs, run=run, every_s=86_400)
