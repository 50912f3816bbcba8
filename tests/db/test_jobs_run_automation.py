"""A run: what it looks at, what holds it back, and that it acts once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from switchboard import outbox
from switchboard.automation import engine
from switchboard.jobs import run_automation
from switchboard.jobs._kind import JOB_KINDS, Context
from switchboard.jobs.run_automation import RunAutomation
from switchboard.kernel.errors import Unprocessable
from tests.automating import Automations
from tests.databases import ClonedDatabase

NOW = {"hours_before": 0, "at": "12:00"}


@pytest.fixture
def at(database: ClonedDatabase) -> Iterator[Automations]:
    automations = Automations(database)
    yield automations
    automations.close()


def started(at: Automations) -> UUID:
    """Evaluate, and return the one run that was started."""
    at.evaluate()
    (run,) = at.place.rows("automation_runs", status="started")
    found: UUID = run["id"]
    return found


class TestConditions:
    """A run acts where they hold, on the facts as they are when it begins."""

    @pytest.mark.parametrize(
        ("conditions", "acts"),
        [
            ({}, True),
            ({"field": "trip.destination", "op": "eq", "value": "Rome"}, True),
            ({"field": "trip.destination", "op": "eq", "value": "Oslo"}, False),
            ({"field": "contact.tags", "op": "contains", "value": "vip"}, True),
            ({"field": "trip.attributes.seats", "op": "gte", "value": 2}, True),
            (
                {
                    "all": [
                        {"field": "trip.status", "op": "in", "value": ["planned", "active"]},
                        {
                            "any": [
                                {"field": "contact.email", "op": "exists"},
                                {"field": "booking.id", "op": "missing"},
                            ]
                        },
                    ]
                },
                True,
            ),
        ],
    )
    def test_they_decide(self, at: Automations, conditions: dict[str, Any], acts: bool) -> None:
        person = at.person()
        at.place.everything.execute(
            "update messaging.contacts set tags = '{vip}' where id = %s", (person.contact_id,)
        )
        at.rule("trip_start", NOW, conditions=conditions)
        at.trip(person, "2031-03-03", destination="Rome", attributes={"seats": 2})
        at.tick()
        ended = ("done", None) if acts else ("skipped", "conditions")
        assert at.runs() == [("2031-03-03", *ended)]
        assert len(at.meta.bodies) == acts

    def test_one_that_names_nothing_is_refused(self, at: Automations) -> None:
        with pytest.raises(Unprocessable) as refused:
            at.rule("trip_start", NOW, conditions={"all": [{"field": "trip.cost", "op": "exists"}]})
        assert refused.value.field == "conditions.all.0.field"


class TestPauses:
    """The cool-down and the cap of a person, decided as the run begins."""

    def test_within_the_cool_down_nothing_more_is_said_to_that_person(
        self, at: Automations
    ) -> None:
        at.rule("trip_start", NOW, cool_down_s=7200)
        ada, bob = at.person(), at.person()
        at.trip(ada, "2031-03-03")
        at.trip(ada, "2031-03-03", start_time="13:00")
        at.trip(bob, "2031-03-03", start_time="13:00")
        at.trip(ada, "2031-03-03", start_time="14:00")
        for _ in range(4):
            at.tick()
            at.turn(hours=1)
        assert [(status, reason) for _, status, reason in at.runs()] == [
            ("done", None),
            ("done", None),
            ("done", None),
            ("skipped", "cool_down"),
        ]
        assert len(at.meta.bodies) == 3

    def test_the_cap_counts_what_was_done_for_that_person(self, at: Automations) -> None:
        rule = at.rule("trip_start", NOW, cap_per_contact=2)
        ada, bob = at.person(), at.person()
        for person in (ada, ada, ada, bob):
            at.trip(person, "2031-03-03")
        at.tick()
        by_person = {
            person.contact_id: sorted(
                status for _, status, _ in at.runs(rule_id=rule.id, contact_id=person.contact_id)
            )
            for person in (ada, bob)
        }
        assert by_person == {
            ada.contact_id: ["done", "done", "skipped"],
            bob.contact_id: ["done"],
        }

    def test_runs_at_once_keep_to_the_cap(self, at: Automations) -> None:
        at.rule("trip_start", NOW, cap_per_contact=1)
        person = at.person()
        for _ in range(6):
            at.trip(person, "2031-03-03")
        at.evaluate()
        runs = [run["id"] for run in at.place.rows("automation_runs")]
        begin = threading.Barrier(len(runs))

        def perform(run_id: UUID) -> None:
            tools = at.another_process()
            begin.wait()
            with tools.db.transaction(at.place.tenant_id) as connection:
                engine.perform(tools, connection, at.place.tenant_id, run_id, last_try=False)

        threads = [threading.Thread(target=perform, args=(run_id,)) for run_id in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(status for _, status, _ in at.runs()) == ["done"] + ["skipped"] * 5
        assert len(at.place.rows("whatsapp_messages")) == 1


class TestOnce:
    """However often its job is tried."""

    def test_a_worker_that_comes_late_says_nothing_twice(self, at: Automations) -> None:
        at.rule("trip_start", NOW)
        at.trip(at.person(), "2031-03-03")
        run_id = started(at)
        (job,) = at.place.rows("scheduled_jobs", job_type="run_automation")
        tools = at.tools()
        context = Context(tools, at.place.tenant_id, job["id"], 1, time.monotonic() + 60)
        late = run_automation.run(context, RunAutomation(run_id=run_id))
        at.work()
        with tools.db.transaction(at.place.tenant_id) as connection:
            for write in late.writes:
                write(connection)
        assert len(at.place.rows("whatsapp_messages")) == len(at.meta.bodies) == 1

    def test_what_fails_unexpectedly_leaves_nothing_and_is_tried_again(
        self, at: Automations, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        at.rule("trip_start", NOW)
        at.trip(at.person(), "2031-03-03")
        at.evaluate()
        real = outbox.queue

        def fail(*args: Any) -> Any:
            real(*args)
            raise RuntimeError("after all was written")

        monkeypatch.setattr("switchboard.outbox.queue", fail)
        at.work()
        assert at.runs() == [("2031-03-03", "started", None)]
        assert at.place.rows("whatsapp_messages") == []
        monkeypatch.undo()
        at.turn(minutes=5)
        at.work()
        assert at.runs() == [("2031-03-03", "done", None)]

    def test_the_last_try_ends_it_as_failed(
        self, at: Automations, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        at.rule("trip_start", NOW)
        at.trip(at.person(), "2031-03-03")
        at.evaluate()

        real = outbox.queue

        def fail(*args: Any) -> Any:
            real(*args)
            raise RuntimeError("always")

        monkeypatch.setattr("switchboard.outbox.queue", fail)
        for _ in range(JOB_KINDS["run_automation"].max_attempts):
            at.work()
            at.turn(minutes=20)
        assert at.runs() == [("2031-03-03", "failed", "RuntimeError")]
        assert at.place.rows("whatsapp_messages") == []

    @pytest.mark.parametrize(
        ("column", "value", "status", "reason"),
        [
            ("is_active", False, "skipped", "inactive"),
            ("action_type", "of_tomorrow", "failed", "unknown trigger or action"),
            ("action_config", "{}", "failed", None),
        ],
    )
    def test_a_rule_that_changed_meanwhile_says_why_it_did_nothing(
        self, at: Automations, column: str, value: Any, status: str, reason: str | None
    ) -> None:
        at.rule("trip_start", NOW)
        at.trip(at.person(), "2031-03-03")
        at.evaluate()
        at.place.everything.execute(
            f"update messaging.automation_rules set {column} = %s", (value,)
        )
        at.work()
        ((_, ended, why),) = at.runs()
        assert ended == status
        assert why == reason or (reason is None and "template and text" in (why or ""))

    def test_a_deleted_rule_leaves_a_job_that_finds_nothing(self, at: Automations) -> None:
        at.rule("trip_start", NOW)
        at.trip(at.person(), "2031-03-03")
        at.evaluate()
        at.place.everything.execute("delete from messaging.automation_rules")
        at.work()
        (job,) = at.place.rows("scheduled_jobs", job_type="run_automation")
        assert job["status"] == "completed"
        assert at.meta.bodies == []


class TestChain:
    """What an automation causes cannot start a rule of its own chain."""

    def test_a_rule_does_not_start_itself(self, at: Automations) -> None:
        rule = at.rule(
            "budget_exceeded",
            {},
            action_type="update_trip",
            action_config={"status": "cancelled"},
        )
        again = at.rule(
            "trip_end",
            {"days_after": 0},
            action_type="update_trip",
            action_config={"attributes": {"seen": True}},
        )
        budget: dict[str, Any] = {"budget_minor": 100, "currency": "EUR", "spent_minor": 100}
        at.trip(at.person(), **budget)
        at.tick()
        at.tick()
        assert at.runs(rule_id=rule.id) == [("1", "done", None)]
        assert at.runs(rule_id=again.id) == []
        assert at.due() == []

    def test_two_rules_do_not_keep_each_other_going(self, at: Automations) -> None:
        """Each sets the state that the other waits for: the first starts the second, and ends."""
        cross: dict[str, Any] = {"budget_minor": 100, "currency": "EUR", "spent_minor": 100}
        first = at.rule(
            "budget_exceeded",
            {"threshold_percent": 100},
            action_type="update_trip",
            action_config={"status": "active"},
            conditions={"field": "trip.status", "op": "eq", "value": "planned"},
        )
        at.trip(at.person(), **cross)
        at.evaluate()
        (run,) = at.place.rows("automation_runs", rule_id=first.id)
        # A rule that the first one's write crosses: it comes to be above by what is written.
        second = at.rule("budget_exceeded", {"threshold_percent": 50}, action_type="update_trip",
                         action_config={"attributes": {"told": 1}})  # fmt: skip
        at.place.everything.execute("delete from messaging.automation_crossings where rule_id = %s",
                                    (second.id,))  # fmt: skip
        at.work()
        (due,) = at.place.rows("automation_due")
        assert (due["rule_id"], due["chain"]) == (second.id, [first.id])
        # The first one crosses once more by the second's write: that plans nothing for it.
        at.place.everything.execute(
            "update messaging.automation_crossings set is_above = false where rule_id = %s",
            (first.id,),
        )
        at.tick()
        assert at.place.rows("automation_due") == []
        (caused,) = at.place.rows("automation_runs", rule_id=second.id)
        assert (caused["status"], caused["chain"]) == ("done", [first.id])
        (crossed,) = at.place.rows("automation_crossings", rule_id=first.id)
        assert (crossed["is_above"], crossed["number"]) == (True, 2)
        assert at.runs(rule_id=first.id) == [("1", "done", None)]
        assert run["chain"] == []

    def test_what_others_write_afterwards_starts_it_again(self, at: Automations) -> None:
        rule = at.rule(
            "budget_exceeded",
            {},
            action_type="update_trip",
            action_config={"attributes": {"told": True}},
        )
        budget: dict[str, Any] = {"budget_minor": 100, "currency": "EUR", "spent_minor": 100}
        subject = at.trip(at.person(), **budget)
        at.tick()
        at.put("trips", subject, spent_minor=1)
        at.put("trips", subject, spent_minor=100)
        at.tick()
        assert at.runs(rule_id=rule.id) == [("1", "done", None), ("2", "done", None)]
