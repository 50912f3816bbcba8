"""Jobs that ended are forgotten after JOB_DAYS, in every tenant, a stretch at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from switchboard.jobs import _retire, retire_jobs
from switchboard.kernel.settings import Settings
from switchboard.store import jobs as store
from switchboard.store import jobs_by_hand
from switchboard.store.events import SYSTEM_TENANT
from tests.databases import ClonedDatabase, part_with
from tests.db.jobs_at_hand import START, opened
from tests.db.jobs_worker import Bench, Kinds

KINDS = Kinds(retire_jobs.KIND)
OLD, YOUNG = START - timedelta(days=14, seconds=1), START - timedelta(days=14)


@pytest.fixture
def bench(database: ClonedDatabase) -> Iterator[Bench]:
    with opened(database) as jobs:
        bench = Bench(jobs)
        yield bench
        part_with(bench.tools.db)


def put(
    bench: Bench, tenant: UUID, name: str, ended: datetime | None, status: str = "completed"
) -> None:
    """Put in a job that came in an hour before it ended."""
    came = (ended or OLD) - timedelta(hours=1)
    bench.jobs.everything.execute(
        "insert into messaging.scheduled_jobs (tenant_id, job_type, status, finished_at,"
        " created_at, scheduled_for, lease_token, lease_until)"
        " values (%s, %s, %s, %s, %s, 'infinity', case when %s then gen_random_uuid() end,"
        " case when %s then 'infinity'::timestamptz end)",
        (tenant, name, status, ended, came, status == "running", status == "running"),
    )


def left(bench: Bench) -> list[str]:
    rows = bench.jobs.everything.execute(
        "select job_type from messaging.scheduled_jobs where job_type <> 'retire_jobs' order by id"
    ).fetchall()
    return [name for (name,) in rows]


def retired(bench: Bench) -> list[int]:
    rows = bench.jobs.everything.execute(
        "select result -> 'retired' from messaging.scheduled_jobs"
        " where job_type = 'retire_jobs' and status = 'completed' order by id"
    ).fetchall()
    return [count for (count,) in rows]


def test_a_job_is_kept_for_fourteen_days_after_it_ended(bench: Bench) -> None:
    for tenant in (bench.jobs.tenant(), bench.jobs.tenant(is_active=False)):
        for status in ("completed", "failed", "cancelled"):
            put(bench, tenant, f"old {status}", OLD, status)
            put(bench, tenant, f"young {status}", YOUNG, status)

    bench.drain(KINDS)

    assert left(bench) == ["young completed", "young failed", "young cancelled"] * 2
    assert retired(bench) == [6]
    bench.later(600)
    bench.drain(KINDS)
    assert left(bench) == []


def test_what_has_not_ended_stays_however_old_it_is(bench: Bench) -> None:
    tenant = bench.jobs.tenant()
    put(bench, tenant, "waits", None, "pending")
    put(bench, tenant, "runs", None, "running")
    put(bench, tenant, "ended", OLD)

    bench.drain(KINDS)

    assert left(bench) == ["waits", "runs"]


def test_how_long_is_a_setting(bench: Bench) -> None:
    tenant = bench.jobs.tenant()
    put(bench, tenant, "two days", START - timedelta(days=2, seconds=1))
    put(bench, tenant, "one day", START - timedelta(days=1))
    bench.tools.settings = Settings(database_url=bench.jobs.database.app_url, job_days=2)

    bench.drain(KINDS)

    assert left(bench) == ["one day"]


def test_the_newest_period_of_a_kind_stays_so_that_it_is_not_put_in_again(bench: Bench) -> None:
    def period(now: datetime) -> int:
        with bench.tools.db.transaction(SYSTEM_TENANT) as connection:
            return store.enqueue_periods(connection, {"monthly": 30 * 86400}, now=now)

    assert (period(START - timedelta(days=60)), period(START)) == (1, 1)
    bench.jobs.everything.execute(
        "update messaging.scheduled_jobs set status = 'completed', finished_at = %s", (OLD,)
    )

    bench.drain(KINDS)

    assert left(bench) == ["monthly"]
    assert period(START) == 0


def test_many_are_forgotten_in_small_transactions(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_retire, "_BATCH", 3)
    calls: list[int] = []
    retire = jobs_by_hand.retire

    def counted(*args: Any, **more: Any) -> jobs_by_hand.Retired:
        done = retire(*args, **more)
        calls.append(done.gone)
        return done

    monkeypatch.setattr(jobs_by_hand, "retire", counted)
    tenants = [bench.jobs.tenant() for _ in range(3)]
    for n in range(20):
        put(bench, tenants[n % 3], "old", OLD)
        put(bench, tenants[n % 3], "waits", None, "pending")
    put(bench, tenants[0], "new", START)

    bench.drain(KINDS)

    assert left(bench) == ["waits"] * 20 + ["new"]
    assert retired(bench) == [20]
    # A stretch ends at three looked at, a call at three deleted or more.
    assert max(calls) <= 5


def test_a_run_whose_time_is_over_leaves_the_rest_for_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_retire, "_BATCH", 1)
    monkeypatch.setattr(_retire, "_SLICE_S", 0.0)
    tenant = bench.jobs.tenant()
    put(bench, tenant, "first", OLD)
    put(bench, tenant, "second", OLD)

    bench.drain(KINDS)

    assert left(bench) == ["second"]
    bench.later(600)
    bench.drain(KINDS)
    assert left(bench) == []


def test_a_walk_looks_no_further_than_the_first_young_job(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ids are in the order of time: behind a young one nothing is old.

    Ten to delete are looked for among two hundred at most.
    """
    tenant = bench.jobs.tenant()
    put(bench, tenant, "old", OLD)
    for _ in range(250):
        put(bench, tenant, "young", START)
    with bench.tools.db.transaction() as connection:
        done = jobs_by_hand.retire(
            connection,
            keep=timedelta(days=14),
            limit=10,
            after=jobs_by_hand.BEGINNING,
            now=START,
        )
    assert done == jobs_by_hand.Retired(1, None, 0)


def test_a_job_that_is_retried_at_this_moment_is_not_forgotten(bench: Bench) -> None:
    tenant = bench.jobs.tenant()
    put(bench, tenant, "failed", OLD, "failed")
    (job_id,) = bench.jobs.everything.execute(
        "select id from messaging.scheduled_jobs"
    ).fetchone() or (0,)
    with (
        psycopg.connect(bench.jobs.database.superuser_url) as held,
        ThreadPoolExecutor() as another,
    ):
        jobs_by_hand.retry(held, tenant, job_id, now=START + timedelta(hours=1))
        done = another.submit(bench.drain, KINDS)
        wait_for_a_lock(bench)
        held.commit()
        assert done.result().completed == 1
    assert (left(bench), retired(bench)) == (["failed"], [0])


def wait_for_a_lock(bench: Bench) -> None:
    """Return when somebody waits for another's transaction to end."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        waiting = bench.jobs.everything.execute(
            "select from pg_stat_activity where datname = current_database()"
            " and wait_event_type = 'Lock'"
        ).fetchall()
        if waiting:
            return
        time.sleep(0.01)
    raise AssertionError("nobody waits")
