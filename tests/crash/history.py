"""One history: a message on its way, a fault, a crash at one boundary, webhooks in some order.

Boundaries are where a process can die between two things that stay: before and after each commit,
before and after each request. A crash is a BaseException, so nothing in the road can catch it; the
process's connection dies with it. Then other workers come, time passes, and the ledger is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from switchboard import outbox
from switchboard.kernel.db import Database
from switchboard.outbox import Answer, Outgoing
from switchboard.store import outbox as store
from switchboard.tools import Tools
from tests.crash.meta import TAKEN, Fault, Meta, Taken
from tests.databases import ClonedDatabase
from tests.sending import Person, Place, deliver, make_tools, status_body

#: The store's functions that commit.
COMMITS = ("ask", "reserve", "lease", "claim", "load", "advance", "sweep", "recover")


class Crash(BaseException):
    """The process is gone."""


class Road(StrEnum):
    """Who sends: a caller with an idempotency key, or a worker what a job has queued."""

    CALLER = "caller"
    WORKER = "worker"


class Webhooks(StrEnum):
    """When the statuses of a message that Meta took arrive."""

    BEFORE = "before"
    AFTER = "after"
    LOST = "lost"
    TWICE = "twice"
    REVERSED = "reversed"
    LATE = "late"


#: Boundaries of an undisturbed run, in order (ask, reserve, request, settle; or claim, load,
#: intent, request, settle), each before and after.
POINTS = {Road.CALLER: 8, Road.WORKER: 10}


@dataclass
class Boundaries:
    """Counts boundaries and crashes at the wanted one (None: never)."""

    crash_at: int | None = None
    passed: int = 0
    names: list[str] = field(default_factory=list)

    def reach(self, name: str) -> None:
        """Come to a boundary."""
        self.names.append(name)
        self.passed += 1
        if self.crash_at == self.passed:
            raise Crash(name)

    @contextmanager
    def around(self, name: str) -> Iterator[None]:
        """Have one boundary before and one after."""
        self.reach(f"before {name}")
        yield
        self.reach(f"after {name}")


@contextmanager
def watched(boundaries: Boundaries, tools: Tools) -> Iterator[None]:
    """Let every commit and request of one process pass `boundaries`."""
    kept = {name: getattr(store, name) for name in COMMITS}
    send = tools.graph.send

    def guarded(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with boundaries.around(name):
                return run(*args, **kwargs)

        return call

    for name, run in kept.items():
        setattr(store, name, guarded(name, run))
    tools.graph.send = guarded("request", send)  # type: ignore[method-assign]
    try:
        yield
    except Crash:
        # What was open on its connection is gone with it.
        tools.db.drop()
    finally:
        for name, run in kept.items():
            setattr(store, name, run)


@dataclass
class Ledger:
    """What a history came to."""

    status: str
    taken: int
    asked: int
    attempts_left: int
    logs: list[tuple[int, str]]
    messages: int
    answer: Answer | None
    error: tuple[Any, ...] = (None, None, None)


class Processes:
    """The connections of the processes: the sender's dies with it, the others live on."""

    def __init__(self, database: ClonedDatabase) -> None:
        self.sender = Database(database.app_url)
        self.worker = Database(database.app_url)
        self.intake = Database(database.app_url)

    def close(self) -> None:
        """Close them all."""
        for connection in (self.sender, self.worker, self.intake):
            connection.drop()


class History:
    """Runs one history in a place of its own."""

    def __init__(
        self,
        processes: Processes,
        place: Place,
        *,
        road: Road,
        fault: Fault,
        webhooks: Webhooks,
        crash_at: int | None,
        witness: bool = False,
    ) -> None:
        """`witness`: a later message of the number gets its statuses, so webhooks do arrive."""
        self._processes = processes
        self._place = place
        self._road = road
        self._webhooks = webhooks
        self.boundaries = Boundaries(crash_at)
        self._meta = Meta(fault, on_taken=self._overtake)
        self._intake = make_tools(processes.intake, place.time.clock())
        self._person = place.person()
        self._answer: Answer | None = None
        self._witness = place.person() if witness else None
        self._told: set[str] = set()

    def run(self) -> Ledger:
        """Send, crash, recover, and read what stands at the end."""
        self._first_process()
        if self._webhooks in {Webhooks.AFTER, Webhooks.TWICE, Webhooks.REVERSED}:
            self._tell_all()
        # A lease and a tick later another worker comes by; throttled ones are due again.
        self._place.time.turn(seconds=40)
        self._recover()
        if self._road is Road.CALLER:
            # The caller asks again with the same key, as callers do.
            self._answer = outbox.send(
                self._tools(self._processes.worker), self._place.tenant_id, self._item("key")
            )
        if self._webhooks not in {Webhooks.LOST, Webhooks.LATE}:
            self._tell_all()
        if self._witness is not None:
            self._send_witness(self._witness)
        # The settle time is over.
        self._place.time.turn(minutes=20)
        self._recover()
        if self._webhooks is Webhooks.LATE:
            self._tell_all()
        self._place.time.turn(minutes=20)
        self._recover()
        if self._webhooks is not Webhooks.LOST:
            self._tell_all()
        return self._read()

    def _first_process(self) -> None:
        tools = self._tools(self._processes.sender)
        if self._road is Road.WORKER:
            with tools.db.transaction(self._place.tenant_id) as connection:
                outbox.queue(tools, connection, self._place.tenant_id, [self._item(None)])
        with watched(self.boundaries, tools):
            if self._road is Road.CALLER:
                self._answer = outbox.send(tools, self._place.tenant_id, self._item("key"))
            else:
                outbox.run_due(tools, tools.clock.monotonic() + 60)

    def _recover(self) -> None:
        tools = self._tools(self._processes.worker)
        outbox.sweep(tools)
        outbox.run_due(tools, tools.clock.monotonic() + 60)
        outbox.sweep(tools)

    def _send_witness(self, person: Person) -> None:
        meta = Meta()
        tools = make_tools(self._processes.worker, self._place.time.clock(), transport=meta)
        outbox.send(tools, self._place.tenant_id, self._item(None, person))
        (taken,) = meta.taken
        self._tell(taken)

    def _tools(self, process: Database) -> Tools:
        return make_tools(process, self._place.time.clock(), transport=self._meta)

    def _item(self, key: str | None, person: Person | None = None) -> Outgoing:
        return Outgoing(
            phone_number_id=self._place.phone_number_id,
            phone=(person or self._person).phone,
            message={"type": "text", "text": {"body": "hello"}},
            key=key,
            sha256=b"\1" * 32 if key else b"",
        )

    def _overtake(self, taken: Taken) -> None:
        if self._webhooks is Webhooks.BEFORE:
            self._tell(taken)

    def _tell_all(self) -> None:
        for taken in self._meta.taken:
            if taken.wa_message_id not in self._told:
                self._tell(taken)

    def _tell(self, taken: Taken) -> None:
        """Deliver the statuses of a message that Meta took."""
        self._told.add(taken.wa_message_id)
        now = self._place.time.now
        steps = [("sent", now), ("delivered", now), ("read", now)]
        if self._webhooks is Webhooks.REVERSED:
            steps.reverse()
        # Each status is a delivery of its own, as Meta does it.
        bodies = [
            status_body(self._place, taken.wa_message_id, taken.callback_data, step)
            for step in steps
        ]
        if self._webhooks is Webhooks.TWICE:
            bodies *= 2
        for body in bodies:
            deliver(self._intake, body)

    def _read(self) -> Ledger:
        messages = self._place.rows("whatsapp_messages", contact_id=self._person.contact_id)
        ids = [message["id"] for message in messages]
        logs = [log for id_ in ids for log in self._place.rows("delivery_logs", message_id=id_)]
        return Ledger(
            status=str(messages[0]["status"]) if messages else "none",
            taken=len(self._meta.taken),
            asked=len(self._meta.asked),
            attempts_left=len(
                self._place.rows("send_attempts", contact_id=self._person.contact_id)
            ),
            logs=sorted((log["attempt"], log["status"]) for log in logs),
            messages=len(messages),
            answer=self._answer,
            error=tuple(
                messages[0][name] if messages else None
                for name in ("error_code", "error_message", "errors")
            ),
        )


#: Where a message that Meta took may end, by whether anybody told us.
_TOLD = frozenset({"read"})
_UNTOLD = frozenset({"accepted", "undetermined"})


def check(ledger: Ledger, fault: Fault, webhooks: Webhooks, *, most: int = 1) -> None:
    """Assert what must hold of every history (reliability 2.3, in design.md's states)."""
    assert ledger.messages == 1, "one logical message is one row"
    assert ledger.taken <= most, "two messages on a phone"
    assert ledger.attempts_left == 0, "stuck"
    assert ledger.status not in {"pending", "sending", "unconfirmed"}, "not settled"
    if ledger.taken:
        assert ledger.status in (_UNTOLD if webhooks is Webhooks.LOST else _TOLD), "a wrong end"
    elif fault is Fault.REFUSED:
        assert ledger.status in {"failed", "undetermined"}
    else:
        assert ledger.status == "undetermined", "lost in silence"
    if ledger.status in _TOLD | {"accepted"}:
        assert ledger.error == (None, None, None), "what passed is still its error"
    assert ledger.logs, "an attempt ended without a log"
    attempts = [attempt for attempt, _ in ledger.logs]
    assert len(attempts) == len(set(attempts)), "an attempt is logged twice"
    if ledger.answer is not None and ledger.answer.status == 200:
        assert ledger.taken == 1, "a caller was told that Meta has it"


__all__ = [
    "POINTS",
    "TAKEN",
    "History",
    "Ledger",
    "Person",
    "Road",
    "Webhooks",
    "check",
]
