"""Forgets dead letters: resolved ones after 30 days, open ones after DEAD_LETTER_DAYS.

They hold what people wrote, so nothing of them is kept for ever.
"""

from __future__ import annotations

from datetime import timedelta

from switchboard.jobs._kind import Context, Effects, JobKind, NoArgs
from switchboard.store import letters

RESOLVED = timedelta(days=30)
#: Letters of one transaction, and seconds of one run: what is left waits for the next hour.
_BATCH = 500
_SLICE_S = 10.0


def run(context: Context, _args: NoArgs) -> Effects:
    """Delete in small transactions, so that intake never waits for long."""
    tools = context.tools
    end = min(context.deadline - 5.0, tools.clock.monotonic() + _SLICE_S)
    retired = 0
    while True:
        with tools.db.transaction(statement_timeout_ms=10_000) as connection:
            gone = letters.retire(
                connection,
                resolved=RESOLVED,
                unresolved=timedelta(days=tools.settings.dead_letter_days),
                limit=_BATCH,
                now=tools.clock.now,
            )
        retired += gone
        if gone < _BATCH or tools.clock.monotonic() >= end:
            return Effects(result={"retired": retired})


KIND = JobKind(name="retire_dead_letters", args=NoArgs, run=run, needs_s=25.0, every_s=3600)
