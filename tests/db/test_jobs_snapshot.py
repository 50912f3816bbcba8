"""Claims while a snapshot stays open, so that no trace of what was done can be taken away."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from switchboard.store import jobs as store
from tests.databases import ClonedDatabase
from tests.db.jobs_at_hand import LEASE, START, Jobs, opened
from tests.db.jobs_worker import Bench, note, work

#: Done since the snapshot was taken: more than a look steps over before it counts as long.
DONE = 4_000


def after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


@pytest.fixture
def jobs(database: ClonedDatabase) -> Iterator[Jobs]:
    """Jobs of a database where a snapshot was taken before anything was put in."""
    with opened(database) as jobs, psycopg.connect(database.superuser_url) as held:
        held.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        held.execute("select count(*) from messaging.scheduled_jobs")
        yield jobs
        held.rollback()


def get_done(jobs: Jobs, tenant: UUID, count: int, *, priority: int = 20) -> None:
    """Put that many in and get them done at START."""
    jobs.put(tenant, count=count, priority=priority, due=START - after(60))
    while count:
        token = uuid.uuid4()
        claimed = jobs.claim(500, token=token)
        assert claimed
        count -= len(jobs.finish(token, claimed))


@pytest.fixture
def tenant(jobs: Jobs) -> UUID:
    """A tenant with much that is done, ten jobs that wait, and a look at START behind it."""
    tenant = jobs.tenant()
    get_done(jobs, tenant, DONE)
    for lane in "abcdefghij":
        jobs.put(tenant, lane=lane, due=START - after(60))
    jobs.everything.execute("delete from messaging.job_looks")
    assert len(jobs.claim(1)) == 1
    assert looked(jobs)
    return tenant


def looked(jobs: Jobs) -> bool:
    """Whether a look at START was kept."""
    return (
        jobs.everything.execute(
            "select from messaging.job_looks where looked_at = %s", (START,)
        ).rowcount
        == 1
    )


def entries_read(jobs: Jobs, seconds: float, limit: int = 10) -> int:
    """Claim in vain for the table's sake: how many index entries did that read, dead ones too?"""
    count = (
        "select sum(pg_stat_get_xact_tuples_returned(indexrelid))::bigint from pg_index"
        " where indrelid = 'messaging.scheduled_jobs'::regclass"
    )
    with psycopg.connect(jobs.database.superuser_url) as connection:
        store.claim(
            connection,
            kinds={"work": 8},
            limit=limit,
            lease=LEASE,
            token=uuid.uuid4(),
            now=START + after(seconds),
        )
        row = connection.execute(count).fetchone()
        connection.rollback()
    assert row is not None
    return int(row[0])


def test_between_two_looks_a_claim_steps_over_nothing_that_is_done(
    jobs: Jobs, tenant: UUID
) -> None:
    # As it is planned where many jobs wait, each in a lane of its own.
    jobs.everything.execute(
        "insert into messaging.scheduled_jobs (tenant_id, job_type, lane, scheduled_for)"
        " select %s, 'work', 'lane ' || n, %s from generate_series(1, 5000) as n",
        (tenant, START - after(50)),
    )
    jobs.everything.execute("analyze messaging.scheduled_jobs")
    assert entries_read(jobs, 0.5, limit=100) < 1_000
    assert entries_read(jobs, 1.0, limit=100) > 2 * DONE


def test_what_is_done_between_two_looks_is_stepped_over_once(jobs: Jobs, tenant: UUID) -> None:
    jobs.put(tenant, count=1_000, due=START - after(50))
    token = uuid.uuid4()
    taken = jobs.claim(900, token=token, now=START + after(0.05))
    assert len(jobs.finish(token, taken)) == 900
    assert entries_read(jobs, 0.4, limit=5) > 900
    jobs.claim(1, now=START + after(0.4))
    assert entries_read(jobs, 0.5, limit=5) < 100


@pytest.mark.parametrize(
    "before", ["earlier", "other tenant", "higher priority", "retried"], ids=str
)
def test_a_job_that_comes_in_before_the_place_is_found_within_a_second(
    jobs: Jobs, tenant: UUID, before: str
) -> None:
    if before == "retried":
        jobs.everything.execute(
            "update messaging.scheduled_jobs set status = 'pending', finished_at = null"
            " where id = (select min(id) from messaging.scheduled_jobs)"
        )
        (job,) = jobs.everything.execute(
            "select min(id) from messaging.scheduled_jobs where status = 'pending'"
        ).fetchone() or (None,)
    else:
        (job,) = jobs.put(
            jobs.tenant() if before == "other tenant" else tenant,
            priority=10 if before != "earlier" else 20,
            due=START - after(600),
        )
    assert job not in [claimed.id for claimed in jobs.claim(3, now=START + after(0.9))]
    assert jobs.claim(1, now=START + after(1.0))[0].id == job


def test_who_finds_nothing_looks_everywhere_at_once(jobs: Jobs, tenant: UUID) -> None:
    assert len(jobs.claim(9)) == 9
    (job,) = jobs.put(jobs.tenant(), due=START - after(600))
    assert [claimed.id for claimed in jobs.claim()] == [job]


def test_a_queue_that_was_emptied_takes_up_what_is_committed_late(jobs: Jobs, tenant: UUID) -> None:
    other = jobs.tenant()
    jobs.put(other, priority=10, due=START - after(60))
    jobs.everything.execute("delete from messaging.job_looks")
    assert [claimed.tenant_id for claimed in jobs.claim(1)] == [other]
    now = START + after(0.5)
    jobs.claim(1, now=now)  # finds it empty, and moves its place on
    (job,) = jobs.put(other, priority=10, due=now - after(1.9))
    assert jobs.claim(1, now=now + after(0.01))[0].id == job


def test_a_lost_lease_is_taken_back_within_a_second(jobs: Jobs, tenant: UUID) -> None:
    other = jobs.tenant()
    (lost,) = jobs.put(other)
    end = START + LEASE
    jobs.everything.execute("delete from messaging.job_looks")
    assert lost in [claimed.id for claimed in jobs.claim(5)]
    jobs.put(tenant, count=10, due=START)
    jobs.claim(1, now=end - after(0.5))
    assert jobs.row(lost)["lease_until"] == end.isoformat()
    jobs.claim(1, now=end + after(0.4))
    assert jobs.row(lost)["status"] == "running"
    assert lost in [claimed.id for claimed in jobs.claim(10, now=end + after(0.5))]


def test_a_lane_goes_on_in_order_without_waiting_for_looks(jobs: Jobs, tenant: UUID) -> None:
    token = uuid.uuid4()
    assert len(jobs.finish(token, jobs.claim(9, token=token))) == 9
    lane = jobs.put(tenant, lane="deep", count=8, due=START - after(30))
    free = jobs.put(tenant, count=8, due=START - after(20))
    order = []
    for _ in lane:
        token = uuid.uuid4()
        claimed = jobs.claim(2, token=token, now=START + after(0.5))
        order += [job.id for job in claimed]
        jobs.finish(token, claimed, now=START + after(0.5))
    assert [job for job in order if job in lane] == lane
    assert sorted(order) == sorted([*lane, *free])


def test_while_one_looks_the_others_go_on_for_a_second_and_then_look_themselves(
    jobs: Jobs, tenant: UUID
) -> None:
    (job,) = jobs.put(tenant, due=START - after(600))
    with psycopg.connect(jobs.database.app_url) as slow:
        found = store.claim(
            slow,
            kinds={"work": 8},
            limit=1,
            lease=LEASE,
            token=uuid.uuid4(),
            now=START + after(1),
        )
        assert [claimed.id for claimed in found] == [job]  # and is not through yet
        (another,) = jobs.put(tenant, due=START - after(600))
        assert entries_read(jobs, 1.9, limit=5) < 100
        assert jobs.claim(1, now=START + after(2.0))[0].id == another
        slow.rollback()


def test_with_little_to_step_over_every_claim_looks_everywhere(database: ClonedDatabase) -> None:
    with opened(database) as jobs:
        tenant = jobs.tenant()
        get_done(jobs, tenant, 500)
        jobs.put(tenant, count=10)
        jobs.claim(1)
        assert not looked(jobs)
        (job,) = jobs.put(jobs.tenant(), priority=10)
        assert jobs.claim(1)[0].id == job


def test_tenants_are_served_in_turn_by_the_counts_of_the_look(jobs: Jobs, tenant: UUID) -> None:
    other = jobs.tenant()
    jobs.put(other, count=10, due=START)
    jobs.everything.execute("delete from messaging.job_looks")
    jobs.claim(1)
    counts = [job.tenant_id for job in jobs.claim(6, now=START + after(0.5))]
    assert 2 <= counts.count(other) <= 4
    assert counts.count(tenant) == 6 - counts.count(other)


def test_a_worker_ends_with_nothing_left_behind(jobs: Jobs, tenant: UUID) -> None:
    bench = Bench(jobs)
    expected = set(jobs.put(jobs.tenant(), priority=30, count=3, due=START - after(900)))
    expected |= set(jobs.put(tenant, lane="deep", count=3))
    summary = bench.drain(work(lambda context, _: note(context)))
    assert summary.stopped == "idle"
    assert expected <= {job for job, _ in bench.notes()}
    assert jobs.count("pending") == 0
    bench.tools.db.drop()
