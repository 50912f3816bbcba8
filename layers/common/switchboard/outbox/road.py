"""Intent, transmit, settle: slices of at most 32, one commit between two of them.

An attempt is under intent (`sending`) before its first byte leaves; the commit that settles what
has landed marks as many more. So at most 32 attempts can ever be in doubt, while some are being
settled the others are on the wire, and a slow answer holds up nothing but itself.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any
from uuid import UUID

import orjson

from switchboard.kernel.db import Connection
from switchboard.kernel.errors import Unavailable
from switchboard.kernel.log import log
from switchboard.outbox import consequences
from switchboard.outbox.commit import commit
from switchboard.outbox.outcome import error_of, settlement
from switchboard.outbox.ready import Ready
from switchboard.outbox.timing import GATHER_S, HALF, LEASE_S, LOOK_S, REST_S, SLICE
from switchboard.outbox.transmit import Flights
from switchboard.store import outbox as store
from switchboard.store.outbox import Step
from switchboard.tools import Tools

#: An attempt, and what a commit writes of it (a member of p_settle of messaging.advance_sends).
Settled = tuple[Ready, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Result:
    """What an attempt ended in, the error as a caller is told it, the verdict of a limit."""

    status: str
    wa_message_id: str | None
    error: dict[str, Any] | None
    decision: dict[str, Any] | None = None


class Road:
    """One worker's run over leased attempts, all under one lease token."""

    def __init__(self, tools: Tools, token: UUID, *, until: float) -> None:
        """`until`: the stopwatch's reading after which no slice is started any more."""
        self._tools = tools
        self.token = token
        self.until = until
        self._flights = Flights(tools)
        #: Numbers that Meta held up a moment ago, and the stopwatch's reading until when.
        self._resting: dict[UUID, float] = {}
        #: What Meta has answered and no commit has written down yet.
        self._unwritten: list[Settled] = []
        self.results: dict[UUID, Result] = {}

    def run(
        self,
        sending: Sequence[Ready],
        waiting: Iterable[Ready],
        *,
        more: Callable[[], Sequence[Ready]] | None = None,
    ) -> None:
        """Send `sending` (under intent already), then `waiting` slice by slice.

        `more` leases what else is due, asked while requests are on the wire: whoever comes new need
        not wait for the end of a long run. What does not fit before `until` is given back. Raises
        Unavailable when the database is away before anything is under intent; after it, what cannot
        be settled is left to the sweep.
        """
        queue = _in_turn(waiting)
        flights = self._flights
        first = list(sending) or self._advance([], queue, SLICE)
        flights.launch(first, here=more is None and not queue)
        while flights:
            if more is not None and len(queue) < HALF:
                found = self._ask(more)
                if found is None:
                    more = None
                else:
                    queue = _in_turn([*queue, *found])
            landed = flights.land(HALF if queue else SLICE, *self._patience(queue, more))
            settled = [(ready, settlement(ready, outcome)) for ready, outcome in landed]
            self._rest(settled)
            flights.launch(self._advance(settled, queue, min(SLICE - len(flights), HALF)))
            # Settled and, where there are more, the next ones on the wire.
            consequences.follow(self._tools, landed)

    def _patience(self, queue: deque[Ready], more: object) -> tuple[float | None, float]:
        """Return for how many seconds to wait for an answer, and then for others after it."""
        if not queue:
            return (None, REST_S) if more is None else (LOOK_S, GATHER_S)
        out = len(self._flights)
        return (0.0 if out < HALF else GATHER_S if out < SLICE else LOOK_S), GATHER_S

    def _ask(self, more: Callable[[], Sequence[Ready]]) -> Sequence[Ready] | None:
        """Return what else is due; None where this run is to ask no more: the next one does."""
        if self._tools.clock.monotonic() >= self.until:
            return None
        try:
            return more()
        except Exception as error:  # noqa: BLE001 - what is on the wire comes first
            # Not asked at each look: whatever is wrong would be told fifty times a second.
            log.warning("outbox.claim_lost", error=error)
            return None

    def _advance(self, settled: Sequence[Settled], queue: deque[Ready], room: int) -> list[Ready]:
        """Settle, mark at most `room` more as intent, and return what of them may be sent now."""
        while True:
            following: list[Ready] = []
            release: list[Ready] = []
            if self._tools.clock.monotonic() < self.until:
                while queue and len(following) < room:
                    following.append(self._hold(queue.popleft()))
                self._flights.prepare(following)
            else:
                release = list(queue)
                queue.clear()
            if not (settled or following or release):
                return []
            intended = self._commit(settled, following, release)
            if intended is None:
                queue.clear()
                return []
            if intended or not queue:
                return intended
            settled = []

    def _hold(self, ready: Ready) -> Ready:
        """Put off an attempt of a number that Meta held up a moment ago; it keeps its lane."""
        delay = self._resting.get(ready.account_id, 0.0) - self._tools.clock.monotonic()
        if delay > 0:
            ready.intent = {"verdict": "held", "code": "throughput", "delay": delay}
        return ready

    def _rest(self, settled: Sequence[Settled]) -> None:
        for ready, row in settled:
            if "rest" in row:
                self._resting[ready.account_id] = self._tools.clock.monotonic() + row["rest"]

    def _commit(
        self,
        settled: Sequence[Settled],
        following: Sequence[Ready],
        release: Sequence[Ready],
    ) -> list[Ready] | None:
        """Return those of `following` that are under intent now; None when the database is away.

        What Meta has answered is kept then for the commits that follow, as long as there are any.
        """
        settled = [*self._unwritten, *settled]
        self._unwritten = []
        tenants: defaultdict[UUID, _Share] = defaultdict(_Share)
        for ready, row in settled:
            tenants[ready.tenant_id].settle.append(row)
        for ready in following:
            verdict = ready.intent or {"verdict": "allowed"}
            tenants[ready.tenant_id].intent.append(
                {
                    **verdict,
                    "id": ready.message_id,
                    "kind": ready.kind,
                    "outside": ready.outside,
                    "template": ready.template_id,
                }
            )
        for ready in release:
            tenants[ready.tenant_id].release.append(ready.message_id)
        try:
            steps = commit(self._tools, lambda conn: self._store(conn, tenants), again=True)
        except Unavailable as error:
            if self._flights:
                log.warning("outbox.unwritten", error=error, count=len(settled))
                self._unwritten = settled
                return None
            if not settled:
                raise
            # Meta has answered and nobody can write it down: the sweep will call it unconfirmed.
            log.error("outbox.unsettled", count=len(settled))
            for ready, row in settled:
                self.results[ready.message_id] = Result(
                    "unconfirmed", row.get("wamid"), error_of(row)
                )
            return None
        self._note(settled, steps)
        intended = {step.message_id for step in steps if step.step == "intended"}
        return [ready for ready in following if ready.message_id in intended]

    def _store(self, connection: Connection, tenants: dict[UUID, _Share]) -> list[Step]:
        if len(tenants) == 1:
            ((tenant_id, share),) = tenants.items()
            return self._store_share(connection, tenant_id, share)
        steps: list[Step] = []
        with connection.transaction():
            for tenant_id in sorted(tenants):
                steps += self._store_share(connection, tenant_id, tenants[tenant_id])
        return steps

    def _store_share(self, connection: Connection, tenant_id: UUID, share: _Share) -> list[Step]:
        return store.advance(
            connection,
            tenant_id,
            self.token,
            settle=orjson.dumps(share.settle).decode(),
            intent=orjson.dumps(share.intent).decode(),
            release=share.release,
            lease_s=LEASE_S,
            now=self._tools.clock.now,
        )

    def _note(self, settled: Sequence[Settled], steps: Sequence[Step]) -> None:
        errors = {ready.message_id: error_of(row) for ready, row in settled}
        for step in steps:
            if step.step == "intended":
                continue
            if step.step == "fenced":
                log.warning("outbox.fenced", message_id=step.message_id, status=step.status)
            self.results[step.message_id] = Result(
                step.status, step.wa_message_id, errors.get(step.message_id), step.decision
            )
        for ready, _ in settled:
            # Fenced and nothing recorded: whoever took it over decides.
            self.results.setdefault(ready.message_id, Result("unconfirmed", None, None))


def _in_turn(attempts: Iterable[Ready]) -> deque[Ready]:
    """Return `attempts` with tenants taking turns, each with its replies before its bulk.

    Who has few waits for few.
    """
    queues: dict[UUID, deque[Ready]] = {}
    for ready in sorted(attempts, key=attrgetter("priority")):
        queues.setdefault(ready.tenant_id, deque()).append(ready)
    turns: deque[Ready] = deque()
    while queues:
        for tenant_id in list(queues):
            turns.append(queues[tenant_id].popleft())
            if not queues[tenant_id]:
                del queues[tenant_id]
    return turns


class _Share:
    """One tenant's part of a commit."""

    __slots__ = ("intent", "release", "settle")

    def __init__(self) -> None:
        self.settle: list[dict[str, Any]] = []
        self.intent: list[dict[str, Any]] = []
        self.release: list[UUID] = []
