"""Once a day: a sync of templates for every business account, of every tenant."""

from __future__ import annotations

from datetime import timedelta

from switchboard.jobs._kind import Context, Effects, JobKind, NoArgs
from switchboard.store import templates as store

#: Over which the syncs of a day are spread: Meta counts questions by the hour.
SPREAD = timedelta(hours=6)


def run(context: Context, _args: NoArgs) -> Effects:
    """Put the jobs in; to run twice is harmless, since one that waits already is left."""
    tools = context.tools
    with tools.db.transaction(statement_timeout_ms=20_000) as connection:
        return Effects(
            result={"put": store.put_syncs(connection, spread=SPREAD, now=tools.clock.now)}
        )


KIND = JobKind(name="put_template_syncs", args=NoArgs, run=run, needs_s=25.0, every_s=86_400)
