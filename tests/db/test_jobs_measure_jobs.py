"""Depth and age of the queue, told once a minute for the alarms."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from switchboard.jobs import measure_jobs
from tests.databases import ClonedDatabase, part_with
from tests.db.jobs_at_hand import START, opened
from tests.db.jobs_worker import Bench, Kinds

KINDS = Kinds(measure_jobs.KIND)
TOLD = ("oldest_due_s", "due", "pending", "running", "failed_last_hour")


@pytest.fixture
def bench(database: ClonedDatabase) -> Iterator[Bench]:
    with opened(database) as jobs:
        bench = Bench(jobs)
        yield bench
        part_with(bench.tools.db)


def measure(bench: Bench, capfd: pytest.CaptureFixture[str]) -> dict[str, list[int]]:
    """Measure once; return the numbers that are told, in all (None) and by priority.

    The measuring job itself, which runs, is taken off.
    """
    bench.later(60)
    capfd.readouterr()
    assert bench.drain(KINDS).completed == 1
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    told: dict[str, Any] = {
        line.get("priority", "all"): [line[name] for name in TOLD]
        for line in lines
        if line["message"] in {"jobs.measured", "jobs.depth"}
    }
    for name in ("all", "housekeeping"):
        told[name][3] -= 1
    if told["housekeeping"] == [0, 0, 0, 0, 0]:
        del told["housekeeping"]
    return told


def ago(**span: float) -> datetime:
    """Return a time so long before the next measurement."""
    return START + timedelta(seconds=60) - timedelta(**span)


def test_an_idle_queue_is_told_as_empty(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    assert measure(bench, capfd) == {"all": [0, 0, 0, 0, 0]}
    row = bench.jobs.everything.execute(
        "select result from messaging.scheduled_jobs where job_type = 'measure_jobs'"
    ).fetchone()
    assert row is not None
    assert row[0] == dict.fromkeys(TOLD, 0) | {"running": 1}


def test_depth_and_age_are_told_by_priority_over_all_tenants(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    for tenant in (bench.jobs.tenant(), bench.jobs.tenant()):
        bench.jobs.put(tenant, priority=10, due=ago(seconds=30), count=2)
        bench.jobs.put(tenant, priority=30, due=ago(minutes=-5))
    bench.jobs.put(tenant, priority=10, due=ago(seconds=90))
    bench.jobs.put(tenant, priority=20, due=ago(seconds=600))
    bench.jobs.claim(1, now=ago(seconds=10))
    assert measure(bench, capfd) == {
        "all": [600, 5, 7, 1, 0],
        "replies": [30, 4, 4, 1, 0],
        "automations": [600, 1, 1, 0, 0],
        "bulk": [0, 0, 2, 0, 0],
    }


def test_what_waits_for_its_lane_or_its_tenant_is_deep_but_not_old(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    asleep = bench.jobs.tenant(is_active=False)
    bench.jobs.put(asleep, due=ago(days=9))
    tenant = bench.jobs.tenant()
    # Behind one that was put off, and behind one that runs.
    bench.jobs.put(tenant, lane="off", due=ago(hours=-1))
    bench.jobs.put(tenant, lane="off", due=ago(hours=2))
    bench.jobs.put(tenant, lane="busy", due=ago(hours=3))
    bench.jobs.claim(1, now=ago(seconds=10))
    bench.jobs.put(tenant, lane="busy", due=ago(hours=1))
    assert measure(bench, capfd)["automations"] == [0, 3, 4, 1, 0]


def test_the_first_of_a_lane_counts(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    tenant = bench.jobs.tenant()
    bench.jobs.put(tenant, lane="free", due=ago(seconds=50))
    bench.jobs.put(tenant, lane="free", due=ago(seconds=500))
    assert measure(bench, capfd)["automations"] == [50, 2, 2, 0, 0]


def test_a_kind_that_nobody_knows_shows_by_its_age(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    bench.jobs.put(bench.jobs.tenant(), "of_a_later_release", due=ago(hours=1))
    assert measure(bench, capfd)["automations"] == [3600, 1, 1, 0, 0]


def test_jobs_that_failed_in_the_last_hour_are_counted_also_those_that_killed_their_worker(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    tenant = bench.jobs.tenant()
    bench.jobs.put(tenant, count=3)
    for when in (ago(minutes=1), ago(minutes=59), ago(minutes=60)):
        token = uuid.uuid4()
        bench.jobs.finish(token, bench.jobs.claim(1, token=token), "failed", now=when)
    bench.jobs.put(tenant, "poison", due=ago(hours=1))
    assert len(bench.jobs.claim(kinds={"poison": 1}, now=ago(minutes=10))) == 1
    assert measure(bench, capfd)["automations"] == [0, 0, 0, 0, 3]
