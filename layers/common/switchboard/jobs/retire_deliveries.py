"""Forgets what became of old deliveries, and puts right those whose job was lost."""

from __future__ import annotations

from datetime import timedelta

from switchboard.jobs._kind import Context, Effects, JobKind, NoArgs
from switchboard.store import subscriptions as store

#: How long the result of a delivery can be looked up.
KEEP = timedelta(days=30)
_BATCH = 1_000
_SLICE_S = 10.0


def run(context: Context, _args: NoArgs) -> Effects:
    """Work in small transactions until nothing is left or the slice is over."""
    tools = context.tools
    end = min(context.deadline - 5.0, tools.clock.monotonic() + _SLICE_S)
    retired = requeued = 0
    while True:
        with tools.db.transaction(statement_timeout_ms=10_000) as connection:
            gone, put = store.retire(connection, keep=KEEP, limit=_BATCH, now=tools.clock.now)
        retired += gone
        requeued += put
        if gone < _BATCH or tools.clock.monotonic() >= end:
            return Effects(result={"retired": retired, "requeued": requeued})


KIND = JobKind(name="retire_deliveries", args=NoArgs, run=run, needs_s=25.0, every_s=3600)
