"""trip_end: as trip_start, by the other date and time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.automating import Automations
from tests.databases import ClonedDatabase


@pytest.fixture
def at(database: ClonedDatabase) -> Iterator[Automations]:
    automations = Automations(database)
    yield automations
    automations.close()


@pytest.mark.parametrize(
    ("config", "due"),
    [
        ({"days_after": 1}, datetime(2031, 5, 13, 7, tzinfo=UTC)),
        ({"hours_after": 2}, datetime(2031, 5, 12, 20, tzinfo=UTC)),
    ],
)
def test_it_is_due_by_the_end(at: Automations, config: dict[str, Any], due: datetime) -> None:
    at.rule("trip_end", config)
    end = {"end_date": "2031-05-12", "end_time": "20:00", "timezone": "Europe/Berlin"}
    subject = at.trip(at.person(), "2031-05-10", start_time="01:00", **end)
    assert at.due() == [(subject, "2031-05-12", due)]


def test_a_trip_that_ends_earlier_is_planned_anew_and_fires_once(at: Automations) -> None:
    rule = at.rule("trip_end", {"days_after": 0})
    subject = at.trip(at.person(), "2031-03-03", end_date="2031-03-08")
    at.put("trips", subject, end_date="2031-03-04", status="completed")
    at.turn(days=1)
    at.tick()
    at.turn(days=10)
    at.tick()
    assert at.runs(rule_id=rule.id) == [("2031-03-04", "done", None)]


def test_one_persons_rule_sees_that_persons_trips(at: Automations) -> None:
    ada, bob = at.person(), at.person()
    at.rule("trip_end", {"days_after": 0}, contact_id=str(ada.contact_id))
    subject = at.trip(ada, end_date="2031-05-12")
    at.trip(bob, end_date="2031-05-12")
    assert [one[0] for one in at.due()] == [subject]


def test_what_changed_since_it_was_taken_is_seen(at: Automations) -> None:
    at.rule("trip_end", {"days_after": 0})
    subject = at.trip(at.person(), end_date="2031-03-03")
    at.evaluate()
    at.put("trips", subject, end_date="2031-03-04")
    at.work()
    assert at.runs() == [("2031-03-03", "skipped", "not so any more")]
