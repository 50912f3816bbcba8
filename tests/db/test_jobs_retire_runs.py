"""Ended runs are forgotten after RUN_DAYS, in every tenant, but for those that still count."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from switchboard.jobs import _retire, retire_runs
from switchboard.kernel.settings import Settings
from tests.databases import ClonedDatabase, part_with
from tests.db.jobs_at_hand import START, opened
from tests.db.jobs_worker import Bench, Kinds
from tests.sending import Place, Time

KINDS = Kinds(retire_runs.KIND)
OLD, YOUNG = START - timedelta(days=365, seconds=1), START - timedelta(days=365)


@pytest.fixture
def bench(database: ClonedDatabase) -> Iterator[Bench]:
    with opened(database) as jobs:
        bench = Bench(jobs)
        yield bench
        part_with(bench.tools.db)


class Rule:
    """A rule of a tenant of its own, and the runs that it had."""

    def __init__(self, bench: Bench, **columns: Any) -> None:
        self.link = bench.jobs.everything
        self.tenant = Place(self.link, Time()).tenant_id
        self.id = uuid4()
        given = {"cap_per_contact": None, "cool_down": None, "grace": "1 day", **columns}
        self.link.execute(
            "insert into messaging.automation_rules (tenant_id, id, name, trigger_type,"
            " action_type, cap_per_contact, cool_down, grace)"
            " values (%s, %s, 'R', 'event', 'update_trip', %s, %s, %s)",
            (self.tenant, self.id, *given.values()),
        )

    def run(
        self,
        name: str,
        ended: datetime | None,
        status: str = "done",
        *,
        due: datetime | None = None,
    ) -> None:
        """Put a run in that began as it ended."""
        self.link.execute(
            "insert into messaging.automation_runs (tenant_id, rule_id, subject_id, occurrence,"
            " due_at, status, started_at, finished_at) values (%s, %s, %s, %s, %s, %s, %s, %s)",
            (self.tenant, self.id, UUID(int=1), name, due or OLD, status, ended or OLD, ended),
        )


def left(bench: Bench) -> list[str]:
    rows = bench.jobs.everything.execute(
        "select occurrence from messaging.automation_runs order by 1"
    ).fetchall()
    return [name for (name,) in rows]


def retired(bench: Bench) -> list[int]:
    rows = bench.jobs.everything.execute(
        "select result -> 'retired' from messaging.scheduled_jobs"
        " where job_type = 'retire_runs' and status = 'completed' order by id"
    ).fetchall()
    return [count for (count,) in rows]


def test_a_run_is_kept_for_a_year_after_it_ended(bench: Bench) -> None:
    for number in range(3):
        rule = Rule(bench)
        for status in ("done", "skipped", "failed"):
            rule.run(f"{number} old {status}", OLD, status)
            rule.run(f"{number} young {status}", YOUNG, status)
        rule.run(f"{number} started", None, "started")

    bench.drain(KINDS)

    assert retired(bench) == [9]
    assert not [name for name in left(bench) if "old" in name]
    assert len(left(bench)) == 12


def test_how_long_is_a_setting(bench: Bench) -> None:
    rule = Rule(bench)
    rule.run("two days", START - timedelta(days=2, seconds=1))
    rule.run("one day", START - timedelta(days=1))
    bench.tools.settings = Settings(database_url=bench.jobs.database.app_url, run_days=2)

    bench.drain(KINDS)

    assert left(bench) == ["one day"]


def test_what_a_cap_or_a_cool_down_looks_at_stays(bench: Bench) -> None:
    capped = Rule(bench, cap_per_contact=2)
    capped.run("capped done", OLD)
    capped.run("capped skipped", OLD, "skipped")
    cooling = Rule(bench, cool_down="366 days")
    cooling.run("cooling", OLD)
    cooling.run("cooled", START - timedelta(days=366, seconds=1))

    bench.drain(KINDS)

    assert left(bench) == ["capped done", "cooling"]


def test_what_could_be_planned_again_stays(bench: Bench) -> None:
    """Within its grace a fact that is written again would start it a second time."""
    rule = Rule(bench, grace="366 days")
    rule.run("not late", OLD, due=START - timedelta(days=366))
    rule.run("late", OLD, due=START - timedelta(days=366, seconds=1))

    bench.drain(KINDS)

    assert left(bench) == ["not late"]


def test_they_go_in_small_transactions_past_those_that_stay(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_retire, "_BATCH", 2)
    for _ in range(2):
        capped, free = Rule(bench, cap_per_contact=1), Rule(bench)
        for number in range(5):
            capped.run(f"kept {number}", OLD)
            free.run(f"gone {number}", OLD)

    bench.drain(KINDS)

    assert retired(bench) == [10]
    assert len(left(bench)) == 10
    assert all(name.startswith("kept") for name in left(bench))


def test_one_run_of_it_ends_in_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_retire, "_BATCH", 1)
    monkeypatch.setattr(_retire, "_SLICE_S", -1.0)
    rule = Rule(bench)
    for number in range(3):
        rule.run(f"old {number}", OLD)

    bench.drain(KINDS)

    assert len(left(bench)) == 3  # one look, at the place before the first tenant
