"""Forgets the ids of uploads that Meta has forgotten."""

from __future__ import annotations

from switchboard.jobs._kind import Context, Effects, JobKind, NoArgs
from switchboard.store import media as store

#: Uploads of one transaction, and seconds of one run: what is left waits for the next hour.
_BATCH = 1_000
_SLICE_S = 10.0


def run(context: Context, _args: NoArgs) -> Effects:
    """Delete in small transactions until nothing is left or the slice is over."""
    tools = context.tools
    end = min(context.deadline - 5.0, tools.clock.monotonic() + _SLICE_S)
    retired = 0
    while True:
        with tools.db.transaction(statement_timeout_ms=10_000) as connection:
            gone = store.retire_uploads(connection, limit=_BATCH, now=tools.clock.now)
        retired += gone
        if gone < _BATCH or tools.clock.monotonic() >= end:
            return Effects(result={"retired": retired})


KIND = JobKind(name="retire_uploads", args=NoArgs, run=run, needs_s=25.0, every_s=3600)
