"""Every minute: a run for each campaign that has something to do and none that will."""

from __future__ import annotations

from switchboard.jobs._kind import Context, Effects, JobKind, NoArgs
from switchboard.store import campaigns as store


def run(context: Context, _args: NoArgs) -> Effects:
    """Put the runs in; to do it twice is harmless, since one that waits or works is left."""
    tools = context.tools
    with tools.db.transaction() as connection:
        return Effects(result={"put": store.put_runs(connection, now=tools.clock.now)})


KIND = JobKind(
    name="watch_campaigns", args=NoArgs, run=run, max_attempts=3, needs_s=10.0, every_s=60
)
