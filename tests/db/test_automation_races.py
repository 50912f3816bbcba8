"""Evaluation beside those who write rules and facts: no deadlock, nothing doubled."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from switchboard.automation import rules
from switchboard.automation.due import named, next_instant
from switchboard.facts import trips
from switchboard.facts.trips import NewTrip
from switchboard.kernel.arguments import read
from switchboard.store import automations as store
from switchboard.store.automations import Next
from switchboard.tools import Tools
from tests.automating import Automations
from tests.databases import ClonedDatabase


@pytest.fixture
def at(database: ClonedDatabase) -> Iterator[Automations]:
    automations = Automations(database)
    yield automations
    automations.close()


def in_background(work: threading.Thread) -> threading.Thread:
    """Start it, and see that it waits."""
    work.start()
    work.join(0.3)
    assert work.is_alive()
    return work


def test_a_schedule_that_is_changed_while_it_is_taken_goes_on_once(at: Automations) -> None:
    rule = at.rule("schedule", {"every_minutes": 10})
    at.turn(minutes=10)
    evaluator = at.another_process()
    with evaluator.db.transaction() as connection:
        (due,) = store.take_due(connection, limit=10, now=at.now)
        writer = in_background(
            threading.Thread(
                target=at.change, args=(rule,), kwargs={"trigger_config": {"every_minutes": 7}}
            )
        )
        instant = next_instant(due.trigger_config, due.due_at)
        assert instant is not None
        upcoming = Next(due.tenant_id, due.rule_id, named(instant), instant)
        store.plan_schedules(connection, [upcoming])
    writer.join()
    # Whole sevenths of minutes since 1970; what was planned by the old rule is gone.
    ((subject, _, when),) = at.due()
    assert subject == rule.id
    assert when.timestamp() % 420 == 0
    assert at.now < when <= at.now + timedelta(minutes=7)


def test_a_rule_that_is_being_changed_is_left_to_the_next_tick(at: Automations) -> None:
    rule = at.rule("schedule", {"every_minutes": 10})
    at.turn(minutes=10)
    writer = at.another_process()
    with writer.db.transaction(at.place.tenant_id) as connection:
        store.hold_rules(connection, at.place.tenant_id, now=at.now)
        assert store.lock_rule(connection, at.place.tenant_id, rule.id)
        assert at.evaluate().started == 0
    assert at.evaluate().started == 1


def test_a_rule_is_deleted_beside_an_evaluation(at: Automations) -> None:
    rule = at.rule("trip_start", {"days_before": 1})
    at.trip(at.person(), "2031-03-04")
    evaluator, writer = at.another_process(), at.another_process()

    def delete(tools: Tools) -> None:
        rules.delete_rule(tools, at.place.tenant_id, rule.id)

    with evaluator.db.transaction() as connection:
        assert len(store.take_due(connection, limit=10, now=at.now)) == 1
        deleting = in_background(threading.Thread(target=delete, args=(writer,)))
    deleting.join()
    assert at.place.rows("automation_runs") == []
    assert at.due() == []
    at.work()
    assert at.meta.bodies == []


def test_a_rule_is_deleted_beside_a_run(at: Automations) -> None:
    """Both take the facts' lock before any row, so that neither holds what the other wants."""
    rule = at.rule(
        "trip_start",
        {"days_before": 1},
        action_type="update_trip",
        action_config={"title": "soon"},
    )
    at.trip(at.person(), "2031-03-04")
    at.evaluate()
    (run,) = at.place.rows("automation_runs")
    runner, writer = at.another_process(), at.another_process()

    def delete(tools: Tools) -> None:
        rules.delete_rule(tools, at.place.tenant_id, rule.id)

    with runner.db.transaction(at.place.tenant_id) as connection:
        opened = store.open_run(connection, at.place.tenant_id, run["id"], now=at.now)
        assert opened is not None
        deleting = in_background(threading.Thread(target=delete, args=(writer,)))
        assert opened.trip is not None
        store.change_trip(
            connection,
            at.place.tenant_id,
            opened.trip["id"],
            {"title": "soon"},
            {},
            chain=[rule.id],
            now=at.now,
        )
    deleting.join()
    assert at.place.rows("automation_rules") == []
    assert [row["title"] for row in at.place.rows("trips")] == ["soon"]


def test_what_a_service_tells_of_is_planned(at: Automations) -> None:
    """By its own route's use case, in one statement for many."""
    at.rule("trip_start", {"days_before": 1})
    person = at.person()

    def tell(start: str) -> None:
        items = [
            read(
                NewTrip,
                {
                    "external_id": f"T-{n}",
                    "contact_id": str(person.contact_id),
                    "start_date": start,
                },
            )
            for n in range(3)
        ]
        for item in items:
            trips.put_trip(at.tools(), at.place.tenant_id, item.external_id, item)

    tell("2031-06-01")
    assert {occurrence for _, occurrence, _ in at.due()} == {"2031-06-01"}
    at.turn(minutes=10)
    tell("2031-07-01")
    assert [occurrence for _, occurrence, _ in at.due()] == ["2031-07-01"] * 3
