"""Any order, grouping and repetition of the same webhooks leaves the rows that the model says."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.databases import ClonedDatabase, cloned
from tests.deliveries import NOW, SECOND, Place, aws_at_hand, in_threads, report, seed
from tests.intake_batches import Batches, batches
from tests.intake_model import History, assert_equal, deliveries, expected

CLIENTS = 4


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    with aws_at_hand():
        place = Place(database)
        yield place
        place.close()


@pytest.mark.parametrize("n", range(4))
def test_shuffled_split_and_repeated_webhooks_leave_what_the_model_says(
    place: Place, n: int
) -> None:
    play(place, seed() * 1000 + n, size=70, at_once=n % 2 == 1)


def test_the_same_history_delivered_twice_in_other_orders_changes_nothing_more(
    place: Place,
) -> None:
    chance = random.Random(seed())
    history = History(place, chance, 40)
    updates = history.updates()
    environment = place.environment(now=NOW)
    for body in deliveries(updates, chance, 1):
        assert environment.post(body) == 200
    before = place.snapshot()

    for body in deliveries(updates, chance, 3):
        assert environment.post(body) == 200

    assert place.snapshot() == before


@pytest.mark.parametrize("n", range(2))
def test_batches_of_every_payload_file_among_odd_neighbours_leave_what_the_model_says(
    place: Place, n: int
) -> None:
    play_batches(place, seed() * 1000 + n, size=60 + 60 * n)


@pytest.mark.soak
def test_two_hundred_histories_of_payload_files_leave_what_the_model_says(
    database: ClonedDatabase,
) -> None:
    updates = bodies = 0
    for n in range(200):
        with aws_at_hand(), cloned(database.server, "template_switchboard") as own:
            place = Place(own)
            try:
                # Every twentieth fills bodies of 1,000.
                size = 700 if n % 20 == 0 else 40 + n % 80
                told = play_batches(place, seed() * 1000 + n, size=size)
            finally:
                place.close()
        updates, bodies = updates + told[0], bodies + told[1]
    report("batches", histories=200, updates=updates, bodies=bodies, different=0)


@pytest.mark.soak
def test_two_hundred_histories_leave_leave_what_the_model_says(database: ClonedDatabase) -> None:
    template = database.server
    updates = bodies = 0
    for n in range(200):
        with aws_at_hand(), cloned(template, "template_switchboard") as own:
            place = Place(own)
            try:
                told = play(place, seed() * 1000 + n, size=60 + n % 60, at_once=n % 4 != 0)
            finally:
                place.close()
        updates, bodies = updates + told[0], bodies + told[1]
    report("order", histories=200, updates=updates, bodies=bodies, different=0)


def play(place: Place, number: int, *, size: int, at_once: bool) -> tuple[int, int]:
    """Deliver a history from one client or several at once; return how many updates and bodies."""
    chance = random.Random(number)
    history = History(place, chance, size)
    updates = history.updates()
    bodies = deliveries(updates, chance, 3)
    clients = CLIENTS if at_once else 1
    environments = [place.environment(now=NOW) for _ in range(clients)]

    def deliver(client: int) -> None:
        for body in bodies[client::clients]:
            assert environments[client].post(body) == 200

    in_threads(clients, deliver)
    place.drain()
    try:
        assert_equal(place, expected(updates, history.outbound, SECOND))
    except AssertionError as error:
        error.add_note(f"history {number}, size {size}, {clients} clients")
        raise
    return len(updates), len(bodies)


def play_batches(place: Place, number: int, *, size: int) -> tuple[int, int]:
    """Deliver a history of payload files in bodies of up to 1,000, from several clients at once."""
    chance = random.Random(number)
    history = Batches(place, chance, size)
    updates = history.updates()
    bodies = batches([*updates, *history.odd], chance, 3)
    environments = [place.environment(now=NOW) for _ in range(CLIENTS)]

    def deliver(client: int) -> None:
        for body in bodies[client::CLIENTS]:
            assert environments[client].post(body) == 200

    in_threads(CLIENTS, deliver)
    place.drain()
    try:
        assert_equal(place, expected(updates, history.outbound, SECOND), history.letters)
    except AssertionError as error:
        error.add_note(f"batches {number}, size {size}")
        raise
    return len(updates) + len(history.odd), len(bodies)
