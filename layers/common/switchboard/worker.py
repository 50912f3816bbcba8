"""Runs what is due until the time is up: the only place that decides done, later or dead.

One worker is one invocation of process_jobs. Any number may run at once, any of them may be killed
at any line: what it had leased comes back when the lease is over.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID, uuid4

import psycopg
from pydantic import ValidationError

from switchboard import outbox
from switchboard.jobs._kind import JOB_KINDS, Context, Effects, JobKind
from switchboard.kernel.errors import GiveUp, MetaAway, Snooze, SwitchboardError, Unavailable
from switchboard.kernel.log import log
from switchboard.outbox.timing import MARGIN_S as SENDS_MARGIN_S
from switchboard.outbox.timing import REQUEST_S
from switchboard.store import jobs as store
from switchboard.store.events import SYSTEM_TENANT
from switchboard.store.jobs import Claimed, Ended
from switchboard.tools import NUDGE_S, Tools

#: Jobs claimed at once: few, because those behind a slow one wait for it, and many, because a claim
#: of ten costs little more than a claim of one.
BATCH = 10
#: Seconds that a statement may take (statement_timeout of role app).
STATEMENT_S = 3.0
#: Seconds kept for recording what ran, by a statement on a link that may be dead (8), or on another
#: one (3).
MARGIN_S = 8.0 + 3.0 + STATEMENT_S
#: Seconds that handing over may take: the mark's statement, and a nudge.
HAND_OVER_S = STATEMENT_S + NUDGE_S
#: Seconds in which a request to Meta can begin, its commit and handing over included.
SENDING_S = REQUEST_S + SENDS_MARGIN_S + HAND_OVER_S
#: Longest lease. A lost worker's jobs are back after it and, at the latest, one tick more.
LEASE_S = 100.0
#: Seconds by which a lease outlives its worker's invocation.
OUTLIVES_S = 5.0
#: Times, a second apart, that a worker asks a database that went away for the chance to give back.
GIVE_BACK_TRIES = 12
#: Seconds between refreshes of the mark, which counts for one second.
MARK_EVERY_S = 0.5
#: Seconds between looks at which periods have begun.
TICK_EVERY_S = 20.0
#: Seconds for which effect-free jobs of a batch may wait to be recorded together.
FLUSH_AFTER_S = 1.0
#: Seconds after which no further job of a batch is begun: one that waits for somebody outside (an
#: agent that thinks) delays neither sends nor what is more urgent for longer than its own time.
JOBS_S = 5.0
#: Seconds that due sends may take before jobs have their turn again.
SENDS_S = 5.0
#: Seconds that a worker waits for sends before it looks at jobs again: it is marked meanwhile, and
#: nobody nudges.
PAUSE_S = 0.4


class Kinds(Protocol):
    """What a worker can run: the registry, or what a test brings."""

    def __getitem__(self, name: str, /) -> JobKind[Any]:
        """Return the kind `name`, which a claim has named before."""

    def __iter__(self) -> Iterator[JobKind[Any]]:
        """Yield every kind."""


class Sends(Protocol):
    """The outbox, as far as a worker needs it; a test brings its own."""

    def run_due(self, tools: Tools, deadline: float) -> Mapping[str, int]:
        """Send what is due and be through by `deadline`; returns how many ended in which status."""

    def next_in(self, tools: Tools) -> float | None:
        """Return the seconds until something may go out that cannot now; None: nothing soon."""


@dataclass(slots=True)
class Summary:
    """What one worker did, for the log and the caller.

    `lost`: ended after the lease was taken over, so nothing of them was written. `stopped` says why
    it ended: idle, time, or database.
    """

    ticked: int = 0
    completed: int = 0
    retried: int = 0
    snoozed: int = 0
    failed: int = 0
    lost: int = 0
    sends: int = 0
    stopped: str = "idle"

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as JSON members."""
        return {name: getattr(self, name) for name in self.__slots__}


class _Fenced(SwitchboardError):
    """The lease was taken over: the transaction that raised it is rolled back."""


def drain(
    tools: Tools, deadline: float, *, kinds: Kinds = JOB_KINDS, sends: Sends = outbox
) -> Summary:
    """Run what is due until nothing is, or until `deadline` (`tools.clock.monotonic` seconds).

    Returns what was done. Never raises for a job's failure, nor when the database goes away.
    """
    worker = _Worker(tools, deadline, kinds, sends)
    try:
        worker.work()
    except (Unavailable, psycopg.OperationalError) as error:
        log.warning("worker.database_away", error_type=type(error).__name__)
        worker.summary.stopped = "database"
        worker.give_back()
    return worker.summary


@dataclass(slots=True)
class _Batch:
    """Claimed jobs under one token, and those of them that are done but not recorded yet."""

    token: UUID
    lease_end: float
    jobs: Sequence[Claimed] = ()
    ended: list[Ended] = field(default_factory=list)
    first_ended: float = 0.0

    def add(self, ended: Ended, now: float) -> None:
        """Keep what is to be recorded."""
        if not self.ended:
            self.first_ended = now
        self.ended.append(ended)

    def end(self, deadline: float) -> float:
        """Return when its jobs must be through."""
        return min(deadline - MARGIN_S, self.lease_end)


class _Worker:
    def __init__(self, tools: Tools, deadline: float, kinds: Kinds, sends: Sends) -> None:
        self.summary = Summary()
        self._tools = tools
        self._deadline = deadline
        self._kinds = kinds
        self._sends = sends
        self._id = uuid4()
        self._monotonic = tools.clock.monotonic
        # A worker that has no time for some kind must not look awake to those who put it in.
        self._shortest = max(
            STATEMENT_S + MARGIN_S + max((kind.needs_s for kind in kinds), default=0.0),
            SENDING_S,
        )
        self._marked_at: float | None = None
        self._ticked_at: float | None = None
        self._batch: _Batch | None = None

    def work(self) -> None:
        last_look = False
        try:
            while True:
                if self._left() <= self._shortest:
                    self._hand_over()
                    return
                if not last_look:
                    self._mark()
                self._tick()
                if self._turn() or self._wait_for_sends():
                    last_look = False
                elif last_look:
                    return
                else:
                    # Intake does not nudge while we are marked. So: clear the mark, wait for those
                    # who have seen it, look once more.
                    self._clear_mark()
                    last_look = True
        finally:
            if self._marked_at is not None:
                with suppress(Unavailable, psycopg.Error):
                    store.clear_mark(self._connection(), self._id, now=self._tools.clock.now)

    def _left(self) -> float:
        return self._deadline - self._monotonic()

    def _connection(self) -> psycopg.Connection[Any]:
        return self._tools.db.connection()

    def _mark(self) -> None:
        now = self._monotonic()
        if self._marked_at is None or now - self._marked_at >= MARK_EVERY_S:
            store.mark_worker(self._connection(), self._id, now=self._tools.clock.now)
            self._marked_at = now

    def _clear_mark(self) -> None:
        """Clear the mark and wait until everybody who counted on it has committed."""
        store.clear_mark(self._connection(), self._id, now=self._tools.clock.now)
        self._marked_at = None
        if not store.await_intakes(self._connection()):
            # Somebody holds a transaction open: another worker will look when it is through.
            self._tools.nudge()

    def _hand_over(self) -> None:
        """End with work left: intake counted on this worker until now, so another is asked for.

        Who was held up until there is no time to ask for it leaves that to the next tick; the mark
        counts for a second only.
        """
        self.summary.stopped = "time"
        self._marked_at = None
        if self._left() >= HAND_OVER_S:
            store.clear_mark(self._connection(), self._id, now=self._tools.clock.now)
            self._tools.nudge()

    def _tick(self) -> None:
        now = self._monotonic()
        if self._ticked_at is not None and now - self._ticked_at < TICK_EVERY_S:
            return
        periods = {kind.name: kind.every_s for kind in self._kinds if kind.every_s is not None}
        if periods:
            with self._tools.db.transaction(SYSTEM_TENANT) as connection:
                self.summary.ticked += store.enqueue_periods(
                    connection, periods, now=self._tools.clock.now
                )
        self._ticked_at = now

    def _turn(self) -> bool:
        """Run one batch of jobs and the sends that are due; returns whether there was any."""
        ran = self._run_batch()
        # What it starts it also ends: the time of the last request and its commit comes on top.
        until = self._monotonic() + SENDS_S + REQUEST_S + SENDS_MARGIN_S
        end = min(self._deadline - HAND_OVER_S, until)
        sent = sum(self._sends.run_due(self._tools, end).values())
        self.summary.sends += sent
        return ran or sent > 0

    def _wait_for_sends(self) -> bool:
        """Wait for what may go out in a moment, but not so long that jobs notice.

        Whether there is time for it or not: who has none left hands over to the next one.
        """
        wait = self._sends.next_in(self._tools)
        if wait is None:
            return False
        self._tools.clock.sleep(min(max(wait, 0.01), PAUSE_S))
        return True

    def _run_batch(self) -> bool:
        now = self._monotonic()
        lease = min(LEASE_S, self._deadline - now + OUTLIVES_S)
        batch = _Batch(token=uuid4(), lease_end=now + lease)
        jobs = store.claim(
            self._connection(),
            kinds={kind.name: kind.max_attempts for kind in self._kinds},
            limit=BATCH,
            lease=timedelta(seconds=lease),
            token=batch.token,
            now=self._tools.clock.now,
        )
        batch.jobs = jobs
        self._batch = batch
        for job in jobs:
            at = self._monotonic()
            flush = bool(batch.ended) and at - batch.first_ended >= FLUSH_AFTER_S
            # What is marked and recorded before it takes its time, too.
            before = STATEMENT_S + (MARGIN_S if flush else 0.0)
            end = batch.end(self._deadline - before)
            late = at - now >= JOBS_S and job is not jobs[0]
            if late or end - at < self._kinds[job.job_type].needs_s:
                batch.add(_given_back(job), at)
                continue
            if flush:
                self._flush(batch)
            self._mark()
            ended = self._run(batch, job)
            if ended is not None:
                batch.add(ended, self._monotonic())
        self._flush(batch)
        self._batch = None
        return bool(jobs)

    def give_back(self) -> None:
        """Give up the leases of a batch that the database cut short, as soon as it answers again.

        A restart takes seconds and a lease a minute and more. Where it does not come back in time,
        the leases end by themselves.
        """
        batch = self._batch
        if batch is None:
            return
        known = {job.id: job for job in batch.ended}
        ended = [known.get(job.id) or _given_back(job) for job in batch.jobs]
        for _ in range(GIVE_BACK_TRIES):
            try:
                # What was recorded before is not ours any more and stays as it is.
                store.finish(self._connection(), batch.token, ended, now=self._tools.clock.now)
            except (Unavailable, psycopg.OperationalError):
                if self._left() < MARGIN_S:
                    return
                time.sleep(1.0)
            else:
                return

    def _run(self, batch: _Batch, job: Claimed) -> Ended | None:
        """Run one job; returns how it ended, or None where that is recorded already."""
        kind = self._kinds[job.job_type]
        end = batch.end(self._deadline)
        context = Context(self._tools, job.tenant_id, job.id, job.attempt, end)
        try:
            effects = self._effects(kind, context, job)
            if not effects.writes and not effects.jobs:
                return Ended(job.tenant_id, job.id, "completed", result=effects.result)
            self._commit(batch.token, job, effects)
        except _Fenced:
            self.summary.lost += 1
            log.warning("job.fenced", job_id=job.id, job_type=job.job_type)
        except MetaAway as error:
            return _ended_by(error, job, kind)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - one job's failure is that job's only
            return _ended_by(error, job, kind)
        else:
            self.summary.completed += 1
        return None

    def _effects(self, kind: JobKind[Any], context: Context, job: Claimed) -> Effects:
        try:
            args = kind.args.model_validate(job.args)
        except ValidationError:
            # The error quotes the arguments; the count of them is enough to find the culprit.
            raise GiveUp("the arguments do not fit the kind") from None
        return kind.run(context, args)

    def _commit(self, token: UUID, job: Claimed, effects: Effects) -> None:
        """Write a job's effects and its completion, both or neither. Raises _Fenced when late."""
        now = self._tools.clock.now
        done = Ended(job.tenant_id, job.id, "completed", result=effects.result)
        with self._tools.db.transaction(job.tenant_id, statement_timeout_ms=10_000) as connection:
            for write in effects.writes:
                write(connection)
            for new in effects.jobs:
                store.enqueue(
                    connection,
                    tenant_id=job.tenant_id,
                    job_type=new.job_type,
                    args=new.args,
                    lane=new.lane,
                    unique_key=new.unique_key,
                    priority=new.priority,
                    scheduled_for=new.scheduled_for,
                    now=now,
                )
            if job.id not in store.finish(connection, token, [done], now=now):
                raise _Fenced

    def _flush(self, batch: _Batch) -> None:
        """Record what has ended without effects, in one statement.

        Nothing is written beside it and nobody is told, so to lose it with a crash of the server is
        the same as to be killed before it.
        """
        if not batch.ended:
            return
        recorded = store.finish(
            self._connection(),
            batch.token,
            batch.ended,
            now=self._tools.clock.now,
            durable=False,
        )
        self._count(batch.ended, recorded)
        batch.ended = []

    def _count(self, ended: Iterable[Ended], recorded: set[int]) -> None:
        for job in ended:
            if job.id not in recorded:
                self.summary.lost += 1
                log.warning("job.fenced", job_id=job.id)
            elif job.outcome == "completed":
                self.summary.completed += 1
            elif job.outcome == "retry":
                self.summary.retried += 1
            elif job.outcome == "snoozed":
                self.summary.snoozed += 1
            else:
                self.summary.failed += 1


def _given_back(job: Claimed) -> Ended:
    """Return the end of a job that was not begun: as if it had never been claimed."""
    return Ended(job.tenant_id, job.id, "snoozed")


def _ended_by(error: Exception, job: Claimed, kind: JobKind[Any]) -> Ended:
    """Decide between later and dead."""
    if isinstance(error, Snooze):
        return Ended(job.tenant_id, job.id, "snoozed", until=error.until)
    name = type(error).__name__
    if isinstance(error, psycopg.Error) and error.sqlstate:
        name = f"{name} {error.sqlstate}"
    fatal = isinstance(error, GiveUp) or job.attempt >= kind.max_attempts
    log.error(
        "job.failed" if fatal else "job.error",
        error=error,
        job_id=job.id,
        job_type=job.job_type,
        tenant_id=job.tenant_id,
        attempt=job.attempt,
    )
    return Ended(job.tenant_id, job.id, "failed" if fatal else "retry", error=name)
