"""Postgres dies under load, again and again: what was answered 200 is there, once."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from switchboard.intake import backlog
from tests.databases import ClonedDatabase
from tests.deliveries import (
    NOW,
    SECOND,
    Environment,
    Place,
    aws_at_hand,
    in_threads,
    report,
    seed,
    until,
    waiting,
)
from tests.intake_model import History, assert_equal, deliveries, expected

CLIENTS = 6


@pytest.fixture
def s3() -> Iterator[Any]:
    with aws_at_hand() as s3:
        yield s3


def test_a_killed_database_costs_nothing_that_was_answered_200(
    durable_database: ClonedDatabase, s3: Any
) -> None:
    kill_under_load(durable_database, s3, kills=2, size=400)


@pytest.mark.soak
def test_a_database_killed_a_dozen_times_costs_nothing_that_was_answered_200(
    durable_database: ClonedDatabase, s3: Any
) -> None:
    report("kill -9 of Postgres", **kill_under_load(durable_database, s3, kills=12, size=9000))


def fast() -> float:
    """Return a wall clock ten times as fast: nobody waits 5 s for the next connect."""
    return time.time() * 10


class Load:
    """Clients that deliver one body after the other."""

    def __init__(self, database: ClonedDatabase, bodies: list[bytes]) -> None:
        self.bodies = bodies
        self.answered = 0
        self.refused: list[int] = []
        self.over = threading.Event()
        self._next = itertools.count()
        self._lock = threading.Lock()
        self._database = database

    def environment(self) -> Environment:
        """Return an environment for one thread."""
        return Environment(self._database.app_url, now=NOW, wall=fast)

    def deliver(self) -> None:
        """Deliver what nobody has delivered yet; what is not answered 200, Meta sends again."""
        environment = self.environment()
        while (n := next(self._next)) < len(self.bodies):
            while (answer := environment.post(self.bodies[n])) != 200:
                self.refused.append(answer)
            with self._lock:
                self.answered += 1
        environment.close()

    def wait_for(self, answered: int) -> None:
        """Wait until so many bodies are answered."""
        until(lambda: self.answered >= answered, 600)

    def drain(self) -> None:
        """Do what process_jobs does every minute, more often."""
        environment = self.environment()
        while not self.over.is_set():
            backlog.drain(environment.tools, lambda: not self.over.is_set())
            self.over.wait(0.2)
        environment.close()


def kill_under_load(database: ClonedDatabase, s3: Any, *, kills: int, size: int) -> dict[str, Any]:
    """Kill the server `kills` times while clients deliver; compare with the model in the end."""
    chance = random.Random(seed())
    place = Place(database)
    history = History(place, chance, size)
    updates = history.updates()
    place.close()
    # Each body once, since nobody sends again what was answered 200; and now and then twice.
    bodies = [b for b in deliveries(updates, chance, 1) for _ in range(chance.choice([1, 1, 1, 2]))]
    load = Load(database, bodies)
    phase = len(load.bodies) // (kills + 1)
    down: list[float] = []
    waited = 0

    def conduct() -> None:
        nonlocal waited
        for n in range(1, kills + 1):
            load.wait_for(phase * n)
            database.server.kill()
            begun = time.monotonic()
            # Answers go on while it is down.
            load.wait_for(phase * n + phase // 3)
            waited = max(waited, len(waiting(s3)))
            database.server.start()
            down.append(time.monotonic() - begun)

    roles = [conduct, load.drain, *[load.deliver] * CLIENTS]

    def play(n: int) -> None:
        try:
            roles[n]()
        finally:
            if n == 0:
                load.wait_for(len(load.bodies))
                load.over.set()

    in_threads(len(roles), play)

    assert load.refused == [], "while it is down the answers stay 200"
    last = load.environment()
    drained = 0
    while waiting(s3):
        told = backlog.drain(last.tools, lambda: True)
        assert told.failed == 0
        drained += told.stored
    last.close()
    again = Place(database)
    assert_equal(again, expected(updates, history.outbound, SECOND))
    again.close()
    assert waited > 0, "the backlog was really used"
    return {
        "kills": len(down),
        "updates": len(updates),
        "bodies_answered_200": load.answered,
        "most_waiting": waited,
        "drained_at_the_end": drained,
        "longest_down_s": round(max(down), 1),
        "missing": 0,
        "doubled": 0,
    }
