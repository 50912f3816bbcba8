"""Puts right what killed workers left: leases of jobs and of sends that are over."""

from __future__ import annotations

from switchboard import outbox
from switchboard.jobs._kind import Context, Effects, JobKind, NoArgs
from switchboard.store import jobs as store

#: Seconds that the statement may take that is begun last.
_STATEMENT_S = 5.0


def run(context: Context, _args: NoArgs) -> Effects:
    """End the leases that are over; both sweeps are safe at any time and in any number."""
    tools = context.tools
    requeued, failed = store.sweep(tools.db.connection(), now=tools.clock.now)
    return Effects(
        result={
            "jobs_requeued": requeued,
            "jobs_failed": failed,
            "sends": dict(outbox.sweep(tools, context.deadline - _STATEMENT_S)),
        }
    )


KIND = JobKind(name="sweep", args=NoArgs, run=run, max_attempts=3, needs_s=20.0, every_s=60)
