"""Every number that Meta can be asked about is asked once a day, by a job of its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from switchboard.jobs import sync_number, sync_numbers
from switchboard.jobs.sync_numbers import SPREAD_S
from switchboard.whatsapp.client import GraphClient
from tests.databases import ClonedDatabase, part_with
from tests.db.jobs_at_hand import START, opened
from tests.db.jobs_worker import Bench, Kinds
from tests.graph_calls import Asked, GraphCalls, graph_calls
from tests.sending import Place, PlainSealer, Time

KINDS = Kinds(sync_numbers.KIND, sync_number.KIND)


class Numbers:
    """A worker, Meta's side, and numbers."""

    def __init__(self, bench: Bench, graph: GraphCalls) -> None:
        self.bench = bench
        self.graph = graph
        graph.answer = lambda asked: (200, {"id": asked.path, "quality_rating": "GREEN"})
        bench.tools.sealer = PlainSealer()  # type: ignore[assignment]
        bench.tools.__dict__["graph"] = GraphClient(graph.url, "v23.0")

    def place(self, **columns: Any) -> Place:
        place = Place(self.bench.jobs.everything, Time())
        place.set_number(**columns)
        return place

    def run(self) -> None:
        """Let the period's jobs be put in and come due."""
        self.bench.drain(KINDS)
        self.bench.later(SPREAD_S)
        self.bench.drain(KINDS)

    def jobs(self, kind: str = "sync_number") -> list[tuple[Any, ...]]:
        return self.bench.jobs.everything.execute(
            "select status, args, result, scheduled_for from messaging.scheduled_jobs"
            " where job_type = %s order by id",
            (kind,),
        ).fetchall()


@pytest.fixture
def numbers(database: ClonedDatabase) -> Iterator[Numbers]:
    with graph_calls() as graph, opened(database) as jobs:
        bench = Bench(jobs)
        yield Numbers(bench, graph)
        bench.tools.graph.close()
        part_with(bench.tools.db)


def quality(place: Place) -> str:
    (row,) = place.rows("whatsapp_accounts")
    return str(row["quality_rating"])


def test_each_number_of_each_tenant_is_asked_about_with_its_own_token(numbers: Numbers) -> None:
    places = [numbers.place(), numbers.place()]
    numbers.run()
    assert {(asked.path, asked.token) for asked in numbers.graph.asked} == {
        (place.phone_number_id, f"token-{place.phone_number_id}") for place in places
    }
    assert [quality(place) for place in places] == ["GREEN", "GREEN"]
    assert [row[2] for row in numbers.jobs()] == [{"status": "synced"}] * 2
    assert [row[2] for row in numbers.jobs("sync_numbers")] == [{"numbers": 2}]
    # Ids only, and not all at once.
    for _, args, _, due in numbers.jobs():
        assert args.keys() == {"account_id"}
        assert START <= due < START + timedelta(seconds=SPREAD_S)


def test_who_has_no_token_or_is_switched_off_is_not_asked_about(numbers: Numbers) -> None:
    numbers.place(access_token_sealed=None)
    numbers.place(is_active=False)
    late = numbers.place()
    numbers.bench.drain(KINDS)
    late.set_number(is_active=False)  # after its job was put in
    numbers.bench.later(SPREAD_S)
    numbers.bench.drain(KINDS)
    assert numbers.graph.asked == []
    assert [row[2] for row in numbers.jobs()] == [{"status": "not_wanted"}]


def test_a_job_that_still_waits_is_not_put_in_again(numbers: Numbers) -> None:
    numbers.place()
    numbers.bench.drain(Kinds(sync_numbers.KIND))
    numbers.bench.later(86_400)
    numbers.bench.drain(Kinds(sync_numbers.KIND))
    assert [row[2] for row in numbers.jobs("sync_numbers")] == [{"numbers": 1}, {"numbers": 0}]
    assert len(numbers.jobs()) == 1


def test_a_refusal_ends_it_until_tomorrow(numbers: Numbers) -> None:
    place = numbers.place()
    numbers.graph.refuse(190, "the token is over", 401)
    numbers.run()
    assert [(row[0], row[2]) for row in numbers.jobs()] == [
        ("completed", {"status": "refused", "code": 190})
    ]
    numbers.graph.say({"id": place.phone_number_id, "quality_rating": "YELLOW"})
    numbers.bench.later(86_400)
    numbers.run()
    assert quality(place) == "YELLOW"


def test_who_is_throttled_comes_again_later(numbers: Numbers) -> None:
    place = numbers.place()
    answers: list[tuple[int, Any]] = [
        (400, {"error": {"code": 80007, "message": "slow down"}}),
        (500, b"<html>"),
        (200, {"id": place.phone_number_id, "quality_rating": "GREEN"}),
    ]

    def answer(_: Asked) -> tuple[int, Any]:
        return answers.pop(0)

    numbers.graph.answer = answer
    numbers.run()
    assert (numbers.jobs()[0][0], quality(place)) == ("pending", "UNKNOWN")
    for _ in range(20):
        numbers.bench.later(600)
        numbers.bench.drain(KINDS)
    assert (numbers.jobs()[0][0], quality(place)) == ("completed", "GREEN")
    assert answers == []
