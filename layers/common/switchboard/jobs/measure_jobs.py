"""Tells how many jobs there are and how long they wait: alarms hang on these two log lines.

`jobs.measured` once, `jobs.depth` for each priority of which there are any. Whoever runs this is a
worker itself: where no line comes, nobody works.
"""

from __future__ import annotations

from collections.abc import Iterable

from switchboard.jobs._kind import Context, Effects, JobKind, NoArgs
from switchboard.kernel.log import log
from switchboard.store import jobs_by_hand as store
from switchboard.store.jobs import AUTOMATIONS, BULK, HOUSEKEEPING, REPLIES
from switchboard.store.jobs_by_hand import Depth

_NAMES = {
    HOUSEKEEPING: "housekeeping",
    REPLIES: "replies",
    AUTOMATIONS: "automations",
    BULK: "bulk",
}


def run(context: Context, _args: NoArgs) -> Effects:
    """Count the jobs of all tenants and say it."""
    tools = context.tools
    with tools.db.transaction(statement_timeout_ms=15_000) as connection:
        depths = store.measure(connection, now=tools.clock.now)
    for priority in sorted({depth.priority for depth in depths}):
        counts = _sum(depth for depth in depths if depth.priority == priority)
        log.info("jobs.depth", priority=_NAMES.get(priority, str(priority)), **counts)
    total = _sum(depths)
    log.info("jobs.measured", **total)
    return Effects(result=total)


def _sum(depths: Iterable[Depth]) -> dict[str, int]:
    """Return the counts together, and the age in seconds of the longest due job (0: none is)."""
    chosen = list(depths)
    return {
        "oldest_due_s": round(max((depth.age_s or 0.0 for depth in chosen), default=0.0)),
        "due": sum(depth.due for depth in chosen),
        "pending": sum(depth.pending for depth in chosen),
        "running": sum(depth.running for depth in chosen),
        "failed_last_hour": sum(depth.failed for depth in chosen),
    }


KIND = JobKind(name="measure_jobs", args=NoArgs, run=run, max_attempts=3, needs_s=20.0, every_s=60)
