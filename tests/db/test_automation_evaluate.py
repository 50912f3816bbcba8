"""Evaluation: each occurrence once, none missed, at the cost of what is due."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from switchboard.automation.due import MARGIN_S, evaluate, take_slice
from switchboard.kernel.clock import Clock
from switchboard.store import automations as store
from switchboard.tools import Tools
from tests.automating import Automations
from tests.databases import ClonedDatabase
from tests.sending import poll

EVALUATORS = 8


class Killed(BaseException):
    """Nobody is left to go on."""


@pytest.fixture
def at(database: ClonedDatabase) -> Iterator[Automations]:
    automations = Automations(database)
    yield automations
    automations.close()


def many(at: Automations, trips: int, *, start: str = "2031-03-04") -> None:
    """Put trips in that all begin then."""
    person = at.person()
    at.place.everything.execute(
        "insert into messaging.trips (tenant_id, external_id, contact_id, start_date, as_of)"
        " select %s, gen_random_uuid()::text, %s, %s, now() from generate_series(1, %s)",
        (at.place.tenant_id, person.contact_id, start, trips),
    )


def jobs(at: Automations) -> list[dict[str, Any]]:
    return at.place.rows("scheduled_jobs", job_type="run_automation")


def all_at_once(at: Automations, *, skew: float = 0.0, slice_of: int = 7) -> int:
    """Let eight processes evaluate at once, clocks up to `skew` seconds apart; returns started."""
    dice = random.Random(5)
    begin = threading.Barrier(EVALUATORS)
    started: list[int] = []
    errors: list[BaseException] = []

    def run(tools: Tools) -> None:
        try:
            begin.wait()
            summary = evaluate(tools, time.monotonic() + 60.0, slice_of=slice_of)
            started.append(summary.started)
        except BaseException as error:
            errors.append(error)
            raise
        finally:
            tools.db.drop()

    threads = []
    for _ in range(EVALUATORS):
        tools = at.another_process(skew=timedelta(seconds=dice.uniform(-skew, skew)))
        threads.append(threading.Thread(target=run, args=(tools,)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    return sum(started)


class TestOnce:
    """However many look, whatever their clocks say, wherever they die."""

    def test_eight_evaluators_start_each_occurrence_once(self, at: Automations) -> None:
        for config in ({"days_before": 1}, {"hours_before": 30}, {"days_before": 1, "at": "08:00"}):
            at.rule("trip_start", config)
        at.rule("schedule", {"every_minutes": 1})
        many(at, 100)
        at.turn(minutes=5)
        started = all_at_once(at)
        runs = at.place.rows("automation_runs")
        assert started == len(runs) == 305
        assert {run["status"] for run in runs} == {"started"}
        put_in = Counter(job["args"]["run_id"] for job in jobs(at))
        assert put_in == Counter({str(run["id"]): 1 for run in runs})
        assert [occurrence for _, occurrence, _ in at.due()] == ["2031-03-03T12:06:00Z"]

    def test_clocks_that_are_apart_start_nothing_twice_and_miss_nothing(
        self, at: Automations
    ) -> None:
        rule = at.rule("schedule", {"every_minutes": 1})
        at.rule("trip_start", {"days_before": 1, "at": "12:02"})
        many(at, 40)
        started = 0
        for _ in range(40):  # ten minutes by quarters
            at.turn(seconds=15)
            started += all_at_once(at, skew=5.0)
        at.turn(seconds=10)
        started += all_at_once(at)
        minutes = [occurrence for occurrence, _, _ in at.runs(rule_id=rule.id)]
        assert minutes == [f"2031-03-03T12:{n:02}:00Z" for n in range(1, 11)]
        assert started == len(at.place.rows("automation_runs")) == len(jobs(at)) == 50

    @pytest.mark.parametrize("step", ["take_due", "read_now", "plan_schedules"])
    def test_one_that_dies_between_its_steps_leaves_all_as_it_was(
        self, at: Automations, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        at.rule("schedule", {"every_minutes": 1})
        at.rule("trip_start", {"days_before": 1})
        many(at, 3)
        at.turn(minutes=1)
        before = at.due()
        dying = at.another_process()
        real = getattr(store, step)

        def die(*args: Any, **how: Any) -> Any:
            real(*args, **how)
            # As when the process is killed: the server hears of it by the link alone.
            dying.db.connection().close()
            raise Killed

        monkeypatch.setattr(store, step, die)
        with pytest.raises(Killed):
            take_slice(dying, 100)
        monkeypatch.undo()
        assert at.due() == before
        assert at.place.rows("automation_runs") == jobs(at) == []
        # The server lets go of the rows when it notices.
        poll(lambda: at.evaluate().started > 0)
        assert len(at.place.rows("automation_runs")) == len(jobs(at)) == len(before) == 4
        assert len(at.due()) == 1  # the next minute

    @pytest.mark.parametrize(
        ("trips", "slice_of", "every"),
        [(400, 3, 0.0), pytest.param(100_000, 500, 0.2, marks=pytest.mark.soak)],
    )
    def test_evaluators_that_are_killed_at_random_lose_and_double_nothing(
        self, at: Automations, trips: int, slice_of: int, every: float
    ) -> None:
        at.rule("trip_start", {"days_before": 1})
        many(at, trips)
        at.turn(seconds=10)
        stop = threading.Event()

        def kill() -> None:
            with psycopg.connect(at.database.superuser_url, autocommit=True) as link:
                while not stop.wait(every):
                    link.execute(
                        "select pg_terminate_backend(pid) from (select pid from pg_stat_activity"
                        " where usename = 'app' and state = 'active' and datname = %s"
                        " order by random() limit 1) as one",
                        (at.database.name,),
                    )

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            for _ in range(10):
                all_at_once(at, slice_of=slice_of, skew=5.0)
        finally:
            stop.set()
            killer.join()
        all_at_once(at, slice_of=slice_of)
        runs = at.place.rows("automation_runs")
        assert len(runs) == len(jobs(at)) == trips
        assert {job["args"]["run_id"] for job in jobs(at)} == {str(run["id"]) for run in runs}

    def test_what_a_fact_takes_back_meanwhile_is_waited_for_by_nobody(
        self, at: Automations
    ) -> None:
        at.rule("trip_start", {"days_before": 1})
        subject = at.trip(at.person(), "2031-03-04")
        with psycopg.connect(at.database.app_url) as link:
            at.enter(link)
            link.execute(
                "update messaging.trips set start_date = '2031-06-01' where id = %s", (subject,)
            )
            assert at.evaluate().started == 0
        assert [occurrence for _, occurrence, _ in at.due()] == ["2031-06-01"]

    def test_a_rule_and_a_trip_written_at_once_meet(self, at: Automations) -> None:
        """Whoever comes second sees the other: neither commits before it has planned."""
        person = at.person()
        at.rule("event", {"event": "x"})  # all is imported and connected before the clock counts
        with psycopg.connect(at.database.app_url) as link:
            at.enter(link)
            link.execute(
                "insert into messaging.trips (tenant_id, external_id, contact_id, start_date,"
                " as_of) values (%s, 'x', %s, '2031-06-01', now())",
                (at.place.tenant_id, person.contact_id),
            )
            writer = threading.Thread(target=at.rule, args=("trip_start", {"days_before": 1}))
            writer.start()
            writer.join(1.0)
            assert writer.is_alive()
        writer.join()
        assert len(at.due()) == 1


class TestLate:
    """An outage."""

    def test_hours_without_an_evaluator_miss_nothing(self, at: Automations) -> None:
        at.rule("trip_start", {"hours_before": 0})
        person = at.person()
        for hour in range(13, 23):
            at.trip(person, "2031-03-03", start_time=f"{hour}:00")
        at.turn(hours=11)
        assert at.evaluate(slice_of=3).started == 10

    def test_later_than_its_grace_it_is_let_pass_with_the_reason(self, at: Automations) -> None:
        at.rule("trip_start", {"hours_before": 0}, grace_s=3600)
        person = at.person()
        at.trip(person, "2031-03-03", start_time="13:00")
        at.trip(person, "2031-03-04", start_time="13:30")
        at.turn(days=1, hours=2)
        summary = at.tick()
        assert (summary.started, summary.passed) == (1, 1)
        assert at.runs() == [("2031-03-03", "skipped", "late"), ("2031-03-04", "done", None)]

    def test_a_fact_that_is_written_in_the_outage_takes_nothing_back(self, at: Automations) -> None:
        at.rule("trip_start", {"hours_before": 0}, grace_s=3600)
        subject = at.trip(at.person(), "2031-03-03", start_time="13:00")
        at.turn(hours=5)
        at.put("trips", subject, title="Rome")
        at.tick()
        assert at.runs() == [("2031-03-03", "skipped", "late")]

    def test_a_disabled_tenants_occurrences_are_let_pass(self, at: Automations) -> None:
        at.rule("trip_start", {"days_before": 1})
        rule = at.rule("schedule", {"every_minutes": 60})
        at.trip(at.person(), "2031-03-04")
        at.place.everything.execute("update messaging.tenants set is_active = false")
        at.turn(hours=1)
        assert at.evaluate().started == 0
        assert {reason for _, _, reason in at.runs()} == {"tenant_disabled"}
        assert [subject for subject, _, _ in at.due()] == [rule.id]
        assert jobs(at) == []


class TestTime:
    """It ends before its deadline, whatever is left."""

    def test_no_slice_is_begun_within_the_margin(self, at: Automations) -> None:
        at.rule("trip_start", {"days_before": 1})
        many(at, 10)
        # The second and the last are the nudge's.
        seconds = iter([0.0, 0.0, 10.0, 20.0, 30.0, 30.0])
        tools = at.tools()
        tools.clock = Clock(now=at.now, monotonic=lambda: next(seconds))
        summary = evaluate(tools, 20.0 + MARGIN_S, slice_of=2)
        # At 0, 10 and 20 seconds there is room for a slice; at 30 there is none.
        assert (summary.started, summary.stopped) == (6, "time")
        assert len(at.due()) == 4

    def test_the_worker_is_asked_for_with_the_first_slice_and_at_the_end(
        self, at: Automations, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        nudges: list[bool] = []
        monkeypatch.setattr(Tools, "nudge", lambda tools: nudges.append(True))
        at.evaluate()
        assert nudges == []
        at.rule("trip_start", {"days_before": 1})
        many(at, 10)
        at.evaluate(slice_of=20)
        assert nudges == [True]
        many(at, 10)
        at.evaluate(slice_of=3)
        assert nudges == [True] * 3

    def test_the_rule_says_when_it_was_last_started(self, at: Automations) -> None:
        rule = at.rule("trip_start", {"days_before": 1})
        many(at, 3)
        at.evaluate()
        (row,) = at.place.rows("automation_rules", id=rule.id)
        assert row["last_triggered_at"] == at.now


def buffers(at: Automations) -> int:
    """Return the pages that an evaluation touches, undone."""
    row = None
    with psycopg.connect(at.database.app_url, autocommit=True) as link:
        # The first call plans and reads the catalogue.
        for _ in range(2):
            with link.transaction(force_rollback=True):
                row = link.execute(
                    "explain (analyze, buffers, format json)"
                    " select count(*) from messaging.due_occurrences(500, %s)",
                    (at.now,),
                ).fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def test_the_cost_grows_with_what_is_due_and_not_with_the_rules(at: Automations) -> None:
    """A hundred due, beside a hundred rules that wait and beside twenty thousand."""
    at.rule("trip_start", {"days_before": 1})
    many(at, 100)

    def add(first: int, last: int) -> None:
        # By hand, since each rule plans for itself.
        at.place.everything.execute("set session_replication_role = replica")
        at.place.everything.execute(
            "with r as (insert into messaging.automation_rules (tenant_id, name, trigger_type,"
            " action_type) select %s, n::text, 'schedule', 'send_whatsapp' from"
            " generate_series(%s::int, %s) as n returning tenant_id, id)"
            " insert into messaging.automation_due (tenant_id, rule_id, subject_id, occurrence,"
            " due_at) select tenant_id, id, id, 'x', %s from r",
            (at.place.tenant_id, first, last, at.now + timedelta(days=9)),
        )
        at.place.everything.execute("vacuum analyze messaging.automation_due")
        at.place.everything.execute("vacuum analyze messaging.automation_rules")

    add(1, 100)
    few = buffers(at)
    add(101, 20_000)
    assert buffers(at) <= few * 1.5
