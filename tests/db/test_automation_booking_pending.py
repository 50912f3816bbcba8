"""booking_pending: once for each time a booking became pending, when it has been so for long."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from switchboard.kernel.errors import Unprocessable
from tests.automating import START, Automations
from tests.databases import ClonedDatabase

SINCE = "2031-03-03T12:00:00.000000Z"


@pytest.fixture
def at(database: ClonedDatabase) -> Iterator[Automations]:
    automations = Automations(database)
    yield automations
    automations.close()


@pytest.mark.parametrize(
    ("config", "after"),
    [
        ({"older_than_minutes": 45}, timedelta(minutes=45)),
        ({"older_than_hours": 2}, timedelta(hours=2)),
        ({"older_than_days": 3}, timedelta(days=3)),
    ],
)
def test_it_is_due_that_long_after_it_became_pending(
    at: Automations, config: dict[str, Any], after: timedelta
) -> None:
    subject = at.booking(at.person())
    at.rule("booking_pending", config)
    assert at.due() == [(subject, SINCE, START + after)]
    at.turn(seconds=after.total_seconds())
    at.tick()
    assert at.runs() == [(SINCE, "done", None)]


def test_what_is_confirmed_in_time_is_due_for_nothing(at: Automations) -> None:
    at.rule("booking_pending", {"older_than_hours": 2})
    subject = at.booking(at.person())
    at.put("bookings", subject, status="confirmed", pending_since=None)
    assert at.due() == []


def test_pending_again_is_another_occurrence(at: Automations) -> None:
    at.rule("booking_pending", {"older_than_hours": 2})
    subject = at.booking(at.person())
    at.turn(hours=2)
    at.tick()
    at.put("bookings", subject, title="the same, still pending")
    assert at.due() == []
    at.put("bookings", subject, status="confirmed", pending_since=None)
    at.put("bookings", subject, status="pending", pending_since=at.now)
    at.turn(hours=2)
    at.tick()
    again = SINCE.replace("T12", "T14")
    assert at.runs() == [(SINCE, "done", None), (again, "done", None)]


def test_what_was_confirmed_after_it_was_taken_is_seen(at: Automations) -> None:
    at.rule("booking_pending", {"older_than_minutes": 0})
    subject = at.booking(at.person(), START.replace(microsecond=123456))
    at.turn(minutes=1)
    at.evaluate()
    at.put("bookings", subject, status="confirmed", pending_since=None)
    at.work()
    assert at.runs() == [(SINCE.replace("000000Z", "123456Z"), "skipped", "not so any more")]


def test_microseconds_are_the_same_moment_in_the_plan_and_in_the_run(at: Automations) -> None:
    at.rule("booking_pending", {"older_than_minutes": 0})
    at.booking(at.person(), START.replace(microsecond=123456))
    at.turn(minutes=1)
    at.tick()
    assert [status for _, status, _ in at.runs()] == ["done"]


def test_one_persons_rule_sees_that_persons_bookings(at: Automations) -> None:
    ada, bob = at.person(), at.person()
    at.rule("booking_pending", {"older_than_hours": 2}, contact_id=str(ada.contact_id))
    subject = at.booking(ada)
    at.booking(bob)
    assert [one[0] for one in at.due()] == [subject]


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({}, "trigger_config"),
        ({"older_than_hours": 1, "older_than_days": 1}, "trigger_config"),
        ({"older_than_hours": "1"}, "trigger_config.older_than_hours"),
    ],
)
def test_a_rule_that_cannot_be_meant_names_its_member(
    at: Automations, config: dict[str, Any], field: str
) -> None:
    with pytest.raises(Unprocessable) as refused:
        at.rule("booking_pending", config)
    assert refused.value.field == field
