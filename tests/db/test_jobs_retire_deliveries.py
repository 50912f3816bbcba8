"""Deliveries are forgotten after a month, and one whose job was lost gets another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.databases import ClonedDatabase
from tests.subscribers import Stand, stand_of


@pytest.fixture
def stand(database: ClonedDatabase) -> Iterator[Stand]:
    with stand_of(database) as stand:
        yield stand


def test_a_job_that_was_lost_is_put_in_again(stand: Stand) -> None:
    stand.subscribe("message")
    stand.writes("hello")
    stand.place.everything.execute("delete from messaging.scheduled_jobs")
    stand.work(minutes=50)
    assert stand.endpoint.told == []
    stand.work(hours=1)
    assert stand.states() == ["delivered"]
    assert len(stand.endpoint.told) == 1


def test_results_are_forgotten_after_a_month(stand: Stand) -> None:
    stand.subscribe("message")
    stand.writes("hello")
    stand.work()
    stand.work(days=29)
    assert len(stand.rows()) == 1
    stand.work(days=2)
    assert stand.rows() == []
