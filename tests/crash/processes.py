"""The processes of a history: one that is disturbed at a boundary, and those that live on.

Boundaries are where a process can die, or be overtaken, between two things that stay: before and
after each commit, before and after each request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import httpx
import psycopg

from switchboard.kernel.db import Database
from switchboard.outbox import transmit
from switchboard.store import outbox as store
from switchboard.tools import Tools
from tests.sending import Time, make_tools

#: The store's functions that commit.
COMMITS = ("ask", "reserve", "lease", "claim", "load", "advance", "sweep", "recover")


class Crash(BaseException):
    """The process is gone: nothing in the road can catch it."""


class Urls(Protocol):
    """Where a database is."""

    @property
    def app_url(self) -> str:
        """As the functions."""

    @property
    def superuser_url(self) -> str:
        """As somebody who sees everything."""


@dataclass
class Boundaries:
    """Counts boundaries, and has `disturb` happen at the wanted one (None: never).

    `disturb` raises Crash, or lets others run and returns; what they pass is not counted.
    """

    at: int | None = None
    disturb: Callable[[], None] = lambda: None
    names: list[str] = field(default_factory=list)
    disturbed: bool = False
    _away: bool = False

    def reach(self, name: str) -> None:
        """Come to a boundary."""
        if self._away:
            return
        self.names.append(name)
        if self.at == len(self.names):
            self.disturbed = self._away = True
            self.disturb()
            self._away = False

    @contextmanager
    def around(self, name: str) -> Iterator[None]:
        """Have one boundary before and one after."""
        self.reach(f"before {name}")
        yield
        self.reach(f"after {name}")

    @property
    def trace(self) -> list[str]:
        """The boundaries up to the disturbance; all, where there was none."""
        return self.names[: self.at] if self.disturbed else self.names


class Now:
    """The tests' clock for a process that runs on: it follows each turn, and sleeping turns it."""

    def __init__(self) -> None:
        self.time = Time()

    @property
    def now(self) -> datetime:
        """The time."""
        return self.time.now

    def wall(self) -> datetime:
        """The process's own time is the same."""
        return self.time.now

    def monotonic(self) -> float:
        """Its stopwatch as well."""
        return self.time.now.timestamp()

    def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self.time.turn(seconds=seconds)

    def new_id(self) -> UUID:
        """Return an id of this time."""
        return self.time.new_id()


class _Line(httpx.BaseTransport):
    """The way to whichever Meta the history has."""

    def __init__(self) -> None:
        self.to: httpx.BaseTransport | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert self.to is not None
        return self.to.handle_request(request)


class Processes:
    """Each has a connection of its own; they see one clock and one Meta."""

    def __init__(self, urls: Urls) -> None:
        self.clock = Now()
        self._line = _Line()
        self.first, self.second, self.worker, self.intake = (self._tools(urls) for _ in range(4))

    def _tools(self, urls: Urls) -> Tools:
        return make_tools(Database(urls.app_url), self.clock, transport=self._line)  # type: ignore[arg-type]

    def meet(self, clock: Time, meta: httpx.BaseTransport) -> None:
        """Live at this time, with this Meta."""
        self.clock.time = clock
        self._line.to = meta

    def close(self) -> None:
        """Close every connection."""
        for tools in (self.first, self.second, self.worker, self.intake):
            tools.db.drop()


class _InTurn:
    """A pool whose threads run one after another: requests are made in one order only."""

    def submit(self, run: Callable[..., Any], *args: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(run(*args))
        return future


@contextmanager
def in_turn() -> Iterator[None]:
    """Have every slice's requests made one after another."""
    kept = transmit._pool
    transmit._pool = _InTurn  # type: ignore[assignment]
    try:
        yield
    finally:
        transmit._pool = kept


@contextmanager
def watched(boundaries: Boundaries, tools: Tools) -> Iterator[None]:
    """Let every commit and request of one process pass `boundaries`; ends where it dies."""
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
        _die(tools)
    finally:
        del tools.graph.send
        for name, run in kept.items():
            setattr(store, name, run)


def _die(tools: Tools) -> None:
    """What was open on its connection is gone; one that is idle means nothing to the server."""
    connection = tools.db.connection()
    if connection.info.transaction_status is not psycopg.pq.TransactionStatus.IDLE:
        tools.db.drop()
