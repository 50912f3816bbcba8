"""Takes what is due and starts its runs, slice by slice, until nothing is or the time is up.

Any number may do so at once, each with a clock of its own, and any of them may be killed at any
line: a slice's runs, jobs and next instants are committed with the due rows' going or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg import errors as pg

from switchboard.automation.triggers._kind import TRIGGERS
from switchboard.kernel.arguments import read
from switchboard.kernel.errors import SwitchboardError, Unavailable
from switchboard.kernel.log import log
from switchboard.store import automations as store
from switchboard.store.automations import Due, Next
from switchboard.tools import Tools

#: Occurrences taken at once.
SLICE = 500
#: Longest that a slice's statements may take each.
STATEMENT_MS = 6000
#: Seconds before the deadline after which nothing is begun: a slice tries a link that may be dead
#: (8), makes another (3), has its statements (twice 6), the commit; a nudge is tried three times.
MARGIN_S = 24.0
#: Collisions in a row after which it is left to the next tick.
TRIES = 5


@dataclass(slots=True)
class Summary:
    """What one evaluation did; `passed`: late, of a disabled tenant, or run before.

    `stopped` says why it ended: idle, time, or database.
    """

    started: int = 0
    passed: int = 0
    stopped: str = "idle"


def evaluate(tools: Tools, deadline: float, *, slice_of: int = SLICE) -> Summary:
    """Start what is due, and be through by `deadline` (`tools.clock.monotonic` seconds).

    What is left then stays due: the next tick goes on with it.
    """
    summary = Summary()
    failures = asked_for = 0
    while True:
        if deadline - tools.clock.monotonic() < MARGIN_S:
            summary.stopped = "time"
            break
        try:
            taken = take_slice(tools, slice_of)
        except Unavailable:
            summary.stopped = "database"
            break
        except (pg.OperationalError, pg.QueryCanceled) as error:
            failures += 1
            log.warning("automation.collided", error_type=type(error).__name__)
            if failures == TRIES:
                summary.stopped = "database"
                break
            continue
        if not taken:
            break
        failures = 0
        started = sum(one.is_started for one in taken)
        summary.started += started
        summary.passed += len(taken) - started
        if summary.started and not asked_for:
            # With the first slice: behind a long backlog there may be no time for it.
            _nudge(tools, deadline)
            asked_for = summary.started
    if summary.started > asked_for:
        _nudge(tools, deadline)
    log.info(
        "automation.evaluated",
        started=summary.started,
        passed=summary.passed,
        stopped=summary.stopped,
    )
    return summary


def _nudge(tools: Tools, deadline: float) -> None:
    """Ask for a worker where there is time to: without, its own tick finds the jobs."""
    if deadline - tools.clock.monotonic() >= MARGIN_S:
        tools.nudge()


def take_slice(tools: Tools, limit: int) -> list[Due]:
    """Take one slice, committed: a run and a job of each, and the next instants of schedules."""
    now = tools.clock.now
    with tools.db.transaction(statement_timeout_ms=STATEMENT_MS) as connection:
        taken = store.take_due(connection, limit=limit, now=now)
        scheduled = [one for one in taken if one.trigger_type == "schedule"]
        if scheduled:
            upcoming = _upcoming(scheduled, store.read_now(connection, now=now))
            store.plan_schedules(connection, upcoming)
    return taken


def _upcoming(taken: Iterable[Due], now: datetime) -> list[Next]:
    """Return what follows each: after an outage only what is not too late to run."""
    found = []
    for one in taken:
        instant = next_instant(one.trigger_config, max(one.due_at, now - one.grace))
        if instant is not None:
            found.append(Next(one.tenant_id, one.rule_id, named(instant), instant))
    return found


def next_instant(config: Any, after: datetime) -> datetime | None:
    """Return a schedule's first planned instant later than `after`; None where none follows."""
    kind = TRIGGERS["schedule"]
    assert kind.next is not None
    try:
        return kind.next(read(kind.config, config), after.astimezone(UTC))
    except SwitchboardError as error:
        # A configuration of another release: its rule rests until it is written anew.
        log.error("automation.unreadable_schedule", error_type=type(error).__name__)
        return None


def instants(config: Any, since: datetime, until: datetime) -> Iterator[datetime]:
    """Yield a schedule's planned instants later than `since` and no later than `until`."""
    kind = TRIGGERS["schedule"]
    assert kind.next is not None
    known, instant = read(kind.config, config), kind.next(read(kind.config, config), since)
    while instant is not None and instant <= until:
        yield instant
        instant = kind.next(known, instant)


def named(instant: datetime) -> str:
    """Return the occurrence of a planned instant."""
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
