"""Takes the bodies that waited in the backlog while Postgres was away through intake.

In slices: replies to live messages wait behind a run, so it is short, and what is left becomes a
job behind everything else that is due.
"""

from __future__ import annotations

from switchboard.intake import backlog
from switchboard.jobs._kind import Context, Effects, JobKind, NewJob, NoArgs
from switchboard.store.jobs import BULK

#: Seconds of one slice.
SLICE_S = 5.0
_NAME = "drain_backlog"


def run(context: Context, _args: NoArgs) -> Effects:
    """Store what waits until the slice is over; every body is deleted after its own commit."""
    end = min(context.deadline, context.tools.clock.monotonic() + SLICE_S)
    cut_short = False

    def enough_time() -> bool:
        nonlocal cut_short
        cut_short = context.tools.clock.monotonic() >= end
        return not cut_short

    drained = backlog.drain(context.tools, enough_time)
    rest = NewJob(_NAME, lane=_NAME, unique_key="rest", priority=BULK)
    return Effects(
        jobs=(rest,) if cut_short else (),
        result={
            "stored": drained.stored,
            "failed": drained.failed,
            "given_up": drained.given_up,
            "more": cut_short,
        },
    )


KIND = JobKind(name=_NAME, args=NoArgs, run=run, max_attempts=3, needs_s=20.0, every_s=60)
