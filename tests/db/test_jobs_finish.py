"""How jobs end: under the token that leased them, once."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from switchboard.store import jobs as store
from tests.databases import ClonedDatabase
from tests.db.jobs_at_hand import LEASE, START, Jobs, opened


@pytest.fixture
def jobs(database: ClonedDatabase) -> Iterator[Jobs]:
    with opened(database) as jobs:
        yield jobs


def test_a_completed_job_is_kept_with_its_result(jobs: Jobs) -> None:
    (job,) = jobs.put(jobs.tenant())
    token = uuid.uuid4()
    claimed = jobs.claim(token=token)
    later = START + timedelta(seconds=3)
    assert jobs.finish(token, claimed, now=later, result={"sent": 2}) == {job}
    row = jobs.row(job)
    assert (row["status"], row["result"], row["error_message"]) == ("completed", {"sent": 2}, None)
    assert (row["executed_at"], row["finished_at"]) == (START.isoformat(), later.isoformat())
    assert (row["lease_token"], row["lease_until"]) == (None, None)


def test_many_end_in_one_statement_each_in_its_way(jobs: Jobs) -> None:
    tenant = jobs.tenant()
    ids = jobs.put(tenant, count=4)
    token = uuid.uuid4()
    jobs.claim(token=token)
    ended = [
        store.Ended(tenant, ids[0], "completed"),
        store.Ended(tenant, ids[1], "retry", error="Throttled"),
        store.Ended(tenant, ids[2], "snoozed", until=START + timedelta(hours=1)),
        store.Ended(tenant, ids[3], "failed", error="GiveUp"),
    ]
    assert store.finish(jobs.app, token, ended, now=START) == set(ids)
    rows = [jobs.row(job) for job in ids]
    assert [row["status"] for row in rows] == ["completed", "pending", "pending", "failed"]
    assert [row["attempts"] for row in rows] == [1, 1, 0, 1]
    assert [row["error_message"] for row in rows] == [None, "Throttled", None, "GiveUp"]
    assert [row["finished_at"] is None for row in rows] == [False, True, True, False]


class TestFence:
    """Who comes after the end of a lease changes nothing, and is told."""

    def test_a_late_worker_changes_nothing(self, jobs: Jobs) -> None:
        (job,) = jobs.put(jobs.tenant())
        slow, quick = uuid.uuid4(), uuid.uuid4()
        late = jobs.claim(token=slow)
        after = START + LEASE
        (claimed,) = jobs.claim(token=quick, now=after)
        assert (claimed.id, claimed.attempt) == (job, 2)
        assert jobs.finish(slow, late, "failed", error="Late") == set()
        assert jobs.row(job)["status"] == "running"
        assert jobs.finish(quick, [claimed]) == {job}
        assert jobs.finish(slow, late, "retry") == set()
        assert jobs.row(job)["status"] == "completed"

    def test_nobody_finishes_what_was_only_swept(self, jobs: Jobs) -> None:
        (job,) = jobs.put(jobs.tenant())
        token = uuid.uuid4()
        late = jobs.claim(token=token)
        store.sweep(jobs.app, now=START + LEASE)
        assert jobs.finish(token, late) == set()
        assert jobs.row(job)["status"] == "pending"

    def test_a_token_finishes_its_own_jobs_alone(self, jobs: Jobs) -> None:
        jobs.put(jobs.tenant(), count=2)
        one, two = uuid.uuid4(), uuid.uuid4()
        first, second = jobs.claim(1, token=one), jobs.claim(1, token=two)
        assert jobs.finish(one, [*first, *second]) == {first[0].id}

    def test_a_second_finish_is_told_that_it_comes_too_late(self, jobs: Jobs) -> None:
        (job,) = jobs.put(jobs.tenant())
        token = uuid.uuid4()
        claimed = jobs.claim(token=token)
        assert jobs.finish(token, claimed, result={"n": 1}) == {job}
        assert jobs.finish(token, claimed, result={"n": 2}) == set()
        assert jobs.row(job)["result"] == {"n": 1}


class TestLeases:
    """A lost worker's jobs come back."""

    def test_before_its_end_a_lease_holds(self, jobs: Jobs) -> None:
        jobs.put(jobs.tenant())
        jobs.claim()
        just_before = START + LEASE - timedelta(microseconds=1)
        assert jobs.claim(now=just_before) == []
        assert store.sweep(jobs.app, now=just_before) == (0, 0)

    def test_a_claim_takes_over_what_is_over_even_when_there_is_other_work(
        self, jobs: Jobs
    ) -> None:
        tenant = jobs.tenant()
        (lost,) = jobs.put(tenant, due=START - timedelta(minutes=1))
        jobs.claim()
        jobs.put(tenant, count=10)
        assert lost in {c.id for c in jobs.claim(5, now=START + LEASE)}

    def test_a_lost_job_comes_back_before_the_younger_of_its_lane(self, jobs: Jobs) -> None:
        first, second = jobs.put(jobs.tenant(), lane="a", count=2)
        jobs.claim()
        assert [c.id for c in jobs.claim(now=START + LEASE)] == [first]
        assert jobs.row(second)["status"] == "pending"

    def test_without_an_attempt_left_it_is_failed_and_the_lane_goes_on(self, jobs: Jobs) -> None:
        poison, next_one = jobs.put(jobs.tenant(), lane="a", count=2)
        now = START
        for _ in range(3):
            assert [c.id for c in jobs.claim(now=now, kinds={"work": 3})] == [poison]
            now += LEASE
        assert [c.id for c in jobs.claim(now=now, kinds={"work": 3})] == [next_one]
        row = jobs.row(poison)
        assert (row["status"], row["attempts"]) == ("failed", 3)
        assert row["error_message"] == "LeaseExpired"

    def test_the_sweep_counts_what_it_did(self, jobs: Jobs) -> None:
        tenant = jobs.tenant()
        jobs.put(tenant, "work", count=3)
        jobs.put(tenant, "once", count=2)
        jobs.claim(kinds={"work": 8, "once": 1})
        assert store.sweep(jobs.app, now=START + LEASE) == (3, 2)
        assert (jobs.count("pending"), jobs.count("failed")) == (3, 2)


class TestRetry:
    """Later, and later still; random, so that those who failed together come back apart."""

    @staticmethod
    def due_after(jobs: Jobs, job: int, attempts: int) -> timedelta:
        """Fail the job until it has had `attempts` attempts; how much later it is due."""
        jobs.everything.execute(
            "update messaging.scheduled_jobs set attempts = %s, scheduled_for = %s where id = %s",
            (attempts - 1, START, job),
        )
        token = uuid.uuid4()
        claimed = jobs.claim(token=token, kinds={"work": 100})
        jobs.finish(token, claimed, "retry", error="Oops")
        return datetime.fromisoformat(jobs.row(job)["scheduled_for"]) - START

    def test_the_delay_is_random_below_a_bound_that_doubles(self, jobs: Jobs) -> None:
        (job,) = jobs.put(jobs.tenant())
        for attempts, bound in ((1, 2), (2, 4), (5, 32), (9, 512), (10, 900), (60, 900)):
            delays = [self.due_after(jobs, job, attempts).total_seconds() for _ in range(40)]
            assert 0 <= min(delays) < bound / 2 < max(delays) <= bound

    def test_a_retry_may_name_its_time(self, jobs: Jobs) -> None:
        (job,) = jobs.put(jobs.tenant())
        token = uuid.uuid4()
        at = START + timedelta(minutes=7)
        jobs.finish(token, jobs.claim(token=token), "retry", until=at)
        assert jobs.row(job)["scheduled_for"] == at.isoformat()

    def test_the_last_attempt_that_fails_ends_the_job(self, jobs: Jobs) -> None:
        (job,) = jobs.put(jobs.tenant())
        for status in ("pending", "failed"):
            token = uuid.uuid4()
            claimed = jobs.claim(token=token, kinds={"work": 2}, now=START + timedelta(days=1))
            jobs.finish(token, claimed, "retry", error="Oops")
            assert jobs.row(job)["status"] == status
        assert jobs.row(job)["error_message"] == "Oops"
        assert jobs.row(job)["finished_at"] is not None

    def test_a_snooze_spends_no_attempt(self, jobs: Jobs) -> None:
        (job,) = jobs.put(jobs.tenant())
        for _ in range(20):
            token = uuid.uuid4()
            (claimed,) = jobs.claim(token=token, kinds={"work": 1})
            assert claimed.attempt == 1
            jobs.finish(token, [claimed], "snoozed")
        row = jobs.row(job)
        assert (row["status"], row["attempts"]) == ("pending", 0)


def test_a_finish_that_need_not_be_durable_does_not_wait_for_the_disk_and_others_do(
    jobs: Jobs,
) -> None:
    tenant = jobs.tenant()
    jobs.put(tenant, count=2)
    jobs.app.execute("set synchronous_commit = on")
    shown = "select current_setting('synchronous_commit')"
    for durable, setting in ((False, "off"), (True, "on")):
        token = uuid.uuid4()
        (claimed,) = jobs.claim(1, token=token)
        ended = [store.Ended(tenant, claimed.id, "completed")]
        with jobs.app.transaction():
            assert store.finish(jobs.app, token, ended, now=START, durable=durable) == {claimed.id}
            assert jobs.app.execute(shown).fetchone() == (setting,)
        # For that transaction alone: the next claim waits for the disk, and brings both there.
        assert jobs.app.execute(shown).fetchone() == ("on",)
        assert jobs.row(claimed.id)["status"] == "completed"
