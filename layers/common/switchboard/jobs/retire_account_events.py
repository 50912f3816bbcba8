"""Forgets what Meta told about accounts: the log only, what it says of their state stays."""

from __future__ import annotations

from datetime import timedelta

from switchboard.jobs._kind import Context, Effects, JobKind, NoArgs
from switchboard.store import account_events as store

#: How long an event can be looked up. Some hold what people wrote (copies of other apps' messages).
KEEP = timedelta(days=180)
#: Events of one transaction, and seconds of one run: what is left waits for the next hour.
_BATCH = 1_000
_SLICE_S = 10.0


def run(context: Context, _args: NoArgs) -> Effects:
    """Delete in small transactions, so that intake never waits for long."""
    tools = context.tools
    end = min(context.deadline - 5.0, tools.clock.monotonic() + _SLICE_S)
    retired = 0
    while True:
        with tools.db.transaction(statement_timeout_ms=10_000) as connection:
            gone = store.retire(connection, keep=KEEP, limit=_BATCH, now=tools.clock.now)
        retired += gone
        if gone < _BATCH or tools.clock.monotonic() >= end:
            return Effects(result={"retired": retired})


KIND = JobKind(name="retire_account_events", args=NoArgs, run=run, needs_s=25.0, every_s=3600)
