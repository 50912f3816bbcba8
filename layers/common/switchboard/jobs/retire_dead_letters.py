"""Forgets dead letters: resolved ones after 30 days, open ones after DEAD_LETTER_DAYS.

They hold what people wrote, so nothing of them is kept for ever.
"""

from __future__ import annotations

from datetime import timedelta

from switchboard.jobs._kind import Context, Effects, JobKind, NoArgs
from switchboard.jobs._retire import retire
from switchboard.kernel.db import Connection
from switchboard.store import letters

RESOLVED = timedelta(days=30)


def run(context: Context, _args: NoArgs) -> Effects:
    """Delete both, whatever their tenant."""
    tools = context.tools

    def delete(connection: Connection, limit: int) -> int:
        return letters.retire(
            connection,
            resolved=RESOLVED,
            unresolved=timedelta(days=tools.settings.dead_letter_days),
            limit=limit,
            now=tools.clock.now,
        )

    return Effects(result={"retired": retire(context, delete)})


KIND = JobKind(name="retire_dead_letters", args=NoArgs, run=run, needs_s=25.0, every_s=3600)
