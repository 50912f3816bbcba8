"""update_trip: the trip of the run, or of its booking."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from switchboard.kernel.errors import Unprocessable
from tests.automating import Automations
from tests.databases import ClonedDatabase


@pytest.fixture
def at(database: ClonedDatabase) -> Iterator[Automations]:
    automations = Automations(database)
    yield automations
    automations.close()


def change(**config: Any) -> dict[str, Any]:
    return {"action_type": "update_trip", "action_config": config}


def test_it_changes_what_it_names_and_keeps_the_rest(at: Automations) -> None:
    at.rule(
        "trip_start",
        {"hours_before": 0, "at": "12:00"},
        **change(status="active", attributes={"told": True, "seats": 3}),
    )
    subject = at.trip(at.person(), "2031-03-03", title="Rome", attributes={"seats": 2, "gate": "B"})
    at.tick()
    (trip,) = at.place.rows("trips", id=subject)
    assert (trip["status"], trip["title"]) == ("active", "Rome")
    assert trip["attributes"] == {"seats": 3, "gate": "B", "told": True}
    assert trip["updated_at"] == at.now


def test_a_bookings_trip_is_changed(at: Automations) -> None:
    at.rule("booking_pending", {"older_than_minutes": 0}, **change(title="waiting"))
    person = at.person()
    subject = at.trip(person)
    at.booking(person, trip_id=subject)
    at.tick()
    (trip,) = at.place.rows("trips", id=subject)
    assert trip["title"] == "waiting"


def test_a_booking_without_a_trip_says_so(at: Automations) -> None:
    at.rule("booking_pending", {"older_than_minutes": 0}, **change(title="waiting"))
    at.booking(at.person())
    at.tick()
    assert [(status, reason) for _, status, reason in at.runs()] == [("skipped", "no_trip")]


def test_one_persons_rule_leaves_anothers_trip_alone(at: Automations) -> None:
    ada, bob = at.person(), at.person()
    at.rule(
        "booking_pending",
        {"older_than_minutes": 0},
        contact_id=str(ada.contact_id),
        **change(title="waiting"),
    )
    subject = at.trip(bob, title="Bob's")
    at.booking(ada, trip_id=subject)
    at.tick()
    (trip,) = at.place.rows("trips", id=subject)
    assert trip["title"] == "Bob's"


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({}, "action_config"),
        ({"status": "lost"}, "action_config.status"),
        ({"budget_minor": 1}, "action_config.budget_minor"),
        ({"attributes": {"a.b": 1}}, "action_config.attributes.a.b.[key]"),
    ],
)
def test_an_action_that_cannot_be_meant_names_its_member(
    at: Automations, config: dict[str, Any], field: str
) -> None:
    with pytest.raises(Unprocessable) as refused:
        at.rule("trip_start", {"days_before": 1}, **change(**config))
    assert refused.value.field == field
