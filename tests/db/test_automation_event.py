"""event: what an internal service tells by direct invocation, to the rules that listen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from functions.trigger_automation import app
from switchboard.kernel.errors import BadRequest, NotFound
from tests.automating import Automations
from tests.databases import ClonedDatabase

PAID = {"event": "invoice_paid"}


@pytest.fixture
def at(database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Automations]:
    automations = Automations(database)
    monkeypatch.setattr(app, "tools", automations.tools)
    yield automations
    automations.close()


class Invocation:
    """What Lambda says of an invocation."""

    def __init__(self, request_id: str) -> None:
        self.aws_request_id = request_id


def tell(at: Automations, event: str = "invoice_paid", request: str = "r", **more: Any) -> int:
    told = {"tenant_id": str(at.place.tenant_id), "event": event, **more}
    return int(app.handler(told, Invocation(request))["started"])


class TestNames:
    """Who listens to what."""

    def test_the_rules_that_listen_start(self, at: Automations) -> None:
        person = at.person()
        at.rule("event", PAID)
        at.rule("event", {"event": "invoice_open"})
        at.rule("event", PAID, is_active=False)
        assert tell(at, contact=f"+{person.phone}") == 1
        at.work()
        assert [status for _, status, _ in at.runs()] == ["done"]
        assert at.meta.bodies[0]["to"] == f"+{person.phone}"

    @pytest.mark.parametrize("told", ["+5215550001234", "5215550001234", "+525550001234"])
    def test_a_person_is_known_by_each_form_of_the_number(self, at: Automations, told: str) -> None:
        person = at.place.person("525550001234", window=100_000)
        at.rule("event", PAID, contact_id=str(person.contact_id))
        assert tell(at, contact=told) == 1

    def test_another_tenants_rules_hear_nothing(self, at: Automations) -> None:
        at.rule("event", PAID)
        other = at.world.place()
        told = {"tenant_id": str(other.tenant_id), **PAID}
        assert app.handler(told, Invocation("r")) == {"started": 0}

    def test_one_persons_rule_hears_of_that_person_alone(self, at: Automations) -> None:
        ada, bob = at.person(), at.person()
        at.rule("event", PAID, contact_id=str(ada.contact_id))
        assert tell(at, contact=str(bob.contact_id)) == 0
        assert tell(at) == 0
        assert tell(at, contact=str(ada.contact_id)) == 1

    def test_one_persons_rule_does_not_look_at_anothers_trip(self, at: Automations) -> None:
        ada, bob = at.person(), at.person()
        at.trip(bob, external_id="trip-7", title="Bob's secret")
        rule = at.rule(
            "event",
            PAID,
            contact_id=str(ada.contact_id),
            action_config={"text": "{{trip.title|nothing}}"},
        )
        assert tell(at, subject="trip-7", contact=str(ada.contact_id)) == 1
        at.work()
        assert at.meta.bodies[0]["text"] == {"body": "nothing"}
        assert at.runs(rule_id=rule.id)[0][1] == "done"


class TestOnce:
    """By the occurrence that is told, else by the invocation."""

    def test_an_occurrence_that_is_told_twice_starts_once(self, at: Automations) -> None:
        at.rule("event", PAID)
        contact = at.person().phone
        assert tell(at, request="1", contact=contact, occurrence="march") == 1
        assert tell(at, request="2", contact=contact, occurrence="march") == 0
        assert tell(at, request="3", contact=contact, occurrence="april") == 1
        assert tell(at, request="4", contact=at.person().phone, occurrence="march") == 1

    def test_an_invocation_that_lambda_repeats_starts_once(self, at: Automations) -> None:
        at.rule("event", PAID)
        contact = at.person().phone
        assert [tell(at, request=name, contact=contact) for name in "1121"] == [1, 0, 1, 0]

    def test_subjects_that_are_no_facts_are_told_apart(self, at: Automations) -> None:
        at.rule("event", PAID)
        contact = at.person().phone
        numbers = ["INV-1", "INV-2", "INV-1"]
        told = [
            tell(at, request=str(n), contact=contact, subject=number, occurrence="1")
            for n, number in enumerate(numbers)
        ]
        assert told == [1, 1, 0]


class TestFacts:
    """A subject is a trip or a booking by the service's own id."""

    def test_the_subjects_person_is_told(self, at: Automations) -> None:
        person = at.person()
        at.trip(person, external_id="trip-7", title="Rome")
        at.rule("event", PAID, action_config={"text": "{{trip.title}} is paid"})
        assert tell(at, subject="trip-7") == 1
        at.work()
        (body,) = at.meta.bodies
        assert (body["to"], body["text"]) == (f"+{person.phone}", {"body": "Rome is paid"})

    def test_a_pending_booking_that_is_told_of_runs_at_once_and_not_again(
        self, at: Automations
    ) -> None:
        at.rule("booking_pending", {"older_than_hours": 2})
        at.booking(at.person(), external_id="b-7")
        assert tell(at, "booking_pending", "1", subject="b-7") == 1
        assert tell(at, "booking_pending", "2", subject="b-7") == 0
        at.turn(hours=2)
        at.tick()
        assert at.runs() == [("2031-03-03T12:00:00.000000Z", "done", None)]

    def test_a_budget_that_is_told_of_is_the_crossing_that_was_planned(
        self, at: Automations
    ) -> None:
        at.rule("budget_exceeded", {"threshold_percent": 90})
        budget: dict[str, Any] = {"budget_minor": 1000, "currency": "EUR", "spent_minor": 950}
        at.trip(at.person(), external_id="trip-7", **budget)
        at.tick()
        assert tell(at, "budget_exceeded", subject="trip-7") == 0
        assert at.runs() == [("1", "done", None)]

    def test_what_our_facts_do_not_say_is_believed(self, at: Automations) -> None:
        at.rule("budget_exceeded", {"threshold_percent": 90})
        at.trip(at.person(), external_id="trip-7")
        assert tell(at, "budget_exceeded", "that", subject="trip-7") == 1
        at.work()
        assert at.runs() == [("that", "done", None)]


def test_a_contact_that_nobody_knows_is_refused(at: Automations) -> None:
    at.rule("event", PAID)
    for contact in ("4915550009999", "nobody", "7f8b0000-0000-7000-8000-000000000001"):
        with pytest.raises(NotFound) as refused:
            tell(at, contact=contact)
        assert refused.value.field == "contact"


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"subject": ""}, "subject"),
        ({"subject": 7}, "subject"),
        ({"occurrence": "x" * 201}, "occurrence"),
        ({"trip": "x"}, "trip"),
    ],
)
def test_a_telling_that_cannot_be_meant_names_its_member(
    at: Automations, more: dict[str, Any], field: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        tell(at, **more)
    assert refused.value.field == field
