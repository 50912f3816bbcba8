"""What is on the wire: a slow answer holds up nothing but itself, and who is new waits for none."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import httpx
import pytest

from switchboard import outbox
from switchboard.outbox.timing import SLICE
from tests.crash.meta import Meta
from tests.crash.processes import in_turn
from tests.databases import ClonedDatabase
from tests.db.test_outbox_claim import queue
from tests.sending import Place, World, poll


@pytest.fixture
def world(database: ClonedDatabase) -> Iterator[World]:
    with closing(World(database)) as world:
        yield world


class Slow(Meta):
    """Answers the message "0" when it is told to, all others at once."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_first = threading.Event()
        self.answer = threading.Event()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if json.loads(request.read())["text"]["body"] == "0":
            self.asked_first.set()
            assert self.answer.wait(30)
        return super().handle_request(request)


@contextmanager
def working(world: World, place: Place, meta: Slow) -> Iterator[None]:
    """Have a worker send what is due; in the end let the slow answer come."""
    tools = world.tools(place.time.clock(), transport=meta)

    def run() -> None:
        outbox.run_due(tools, tools.clock.monotonic() + 60)

    worker = threading.Thread(target=run)
    worker.start()
    try:
        assert meta.asked_first.wait(30)
        yield
    finally:
        meta.answer.set()
        worker.join()


def accepted(place: Place) -> int:
    return len(place.rows("whatsapp_messages", status="accepted"))


def test_a_slow_answer_holds_up_nothing_but_itself(world: World) -> None:
    place = world.place()
    place.set_number(throughput="HIGH")
    ids = queue(world, place, *(place.person() for _ in range(80)))
    with working(world, place, Slow()):
        poll(lambda: accepted(place) == 79)
        assert place.message(ids[0])["status"] == "sending"
    assert accepted(place) == 80


def test_who_comes_new_does_not_wait_for_a_slow_answer(world: World) -> None:
    slow, new = world.place(), world.place()
    (first,) = queue(world, slow, slow.person())
    with working(world, slow, Slow()):
        # The first of each call is "0", and slow.
        (_, second) = queue(world, new, new.person(), new.person())
        poll(lambda: new.message(second)["status"] == "accepted")
        assert slow.message(first)["status"] == "sending"
    assert (accepted(slow), accepted(new)) == (1, 2)


def test_tenants_take_turns_on_the_wire(world: World) -> None:
    big, small = world.place(), world.place()
    big.set_number(throughput="HIGH")
    queue(world, big, *(big.person() for _ in range(60)))
    asked: list[str] = []

    class Late(Meta):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if not asked:
                queue(world, small, small.person(), small.person())
            number = request.url.path.split("/")[-2]
            asked.append(number)
            return super().handle_request(request)

    tools = world.tools(big.time.clock(), transport=Late())
    with in_turn():
        outbox.run_due(tools, tools.clock.monotonic() + 60)
    places = [n for n, number in enumerate(asked) if number == small.phone_number_id]
    assert len(asked) == 62
    # What was claimed and on the wire already, and then in turns with the big tenant; how many that
    # is depends on how many answers a commit gathered.
    assert places[-1] < SLICE
