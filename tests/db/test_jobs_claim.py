"""Claims: what is due, in which order, for whom."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest

from switchboard.kernel.db import set_tenant
from switchboard.store import jobs as store
from tests.databases import ClonedDatabase
from tests.db.jobs_at_hand import LEASE, START, Jobs, opened


@pytest.fixture
def jobs(database: ClonedDatabase) -> Iterator[Jobs]:
    with opened(database) as jobs:
        yield jobs


def test_a_claim_leases_the_job_and_spends_an_attempt(jobs: Jobs) -> None:
    tenant = jobs.tenant()
    (job,) = jobs.put(tenant, lane="a")
    token = uuid.uuid4()
    (claimed,) = jobs.claim(token=token)
    assert (claimed.tenant_id, claimed.id, claimed.job_type) == (tenant, job, "work")
    assert (claimed.args, claimed.attempt) == ({}, 1)
    row = jobs.row(job)
    assert row["status"] == "running"
    assert row["lease_token"] == str(token)
    assert row["lease_until"] == (START + LEASE).isoformat()
    assert row["executed_at"] == START.isoformat()
    assert jobs.claim() == []


def test_what_is_not_due_waits(jobs: Jobs) -> None:
    (job,) = jobs.put(jobs.tenant(), due=START + timedelta(seconds=1))
    assert jobs.claim() == []
    assert [c.id for c in jobs.claim(now=START + timedelta(seconds=1))] == [job]


def test_an_unknown_kind_is_never_claimed_and_holds_up_nobody(jobs: Jobs) -> None:
    tenant = jobs.tenant()
    (unknown,) = jobs.put(tenant, "kind_of_tomorrow")
    (known,) = jobs.put(tenant)
    assert [c.id for c in jobs.claim()] == [known]
    assert jobs.row(unknown)["status"] == "pending"
    assert jobs.row(unknown)["attempts"] == 0


def test_nothing_of_an_inactive_tenant_is_claimed(jobs: Jobs) -> None:
    asleep = jobs.tenant(is_active=False)
    jobs.put(asleep)
    (awake,) = jobs.put(jobs.tenant())
    assert [c.id for c in jobs.claim()] == [awake]
    jobs.everything.execute(
        "update messaging.tenants set is_active = true where id = %s", (asleep,)
    )
    assert len(jobs.claim()) == 1


def test_the_smaller_priority_goes_first_whatever_its_tenant_and_time(jobs: Jobs) -> None:
    a, b = jobs.tenant(), jobs.tenant()
    bulk = jobs.put(a, priority=30, count=3, due=START - timedelta(hours=1))
    automation = jobs.put(a, priority=20)
    reply = jobs.put(b, priority=10)
    assert [c.id for c in jobs.claim(2)] == [*reply, *automation]
    assert sorted(c.id for c in jobs.claim(10)) == bulk


def test_a_claim_does_not_wait_for_a_row_that_another_holds(jobs: Jobs) -> None:
    held, free = jobs.put(jobs.tenant(), count=2)
    jobs.app.execute("set lock_timeout = '100ms'")
    with psycopg.connect(jobs.database.superuser_url) as other:
        other.execute("select from messaging.scheduled_jobs where id = %s for update", (held,))
        assert [c.id for c in jobs.claim(1)] == [free]
    assert [c.id for c in jobs.claim(1)] == [held]


def test_within_a_tenant_the_longest_due_goes_first(jobs: Jobs) -> None:
    tenant = jobs.tenant()
    late = jobs.put(tenant, due=START - timedelta(minutes=1))
    early = jobs.put(tenant, due=START - timedelta(minutes=2))
    assert [c.id for c in jobs.claim(1)] == early
    assert [c.id for c in jobs.claim(1)] == late


class TestFairness:
    """Ten thousand jobs of one tenant do not delay another's few."""

    def test_each_tenant_has_its_share_of_a_claim(self, jobs: Jobs) -> None:
        many, few = jobs.tenant(), jobs.tenant()
        jobs.put(many, count=10_000, due=START - timedelta(hours=1))
        jobs.put(few, count=3)
        shares = Counter(c.tenant_id for c in jobs.claim(10))
        assert shares == {many: 7, few: 3}  # and what one leaves goes to the other

    def test_the_tenant_with_the_fewest_running_jobs_goes_first(self, jobs: Jobs) -> None:
        busy, idle = jobs.tenant(), jobs.tenant()
        jobs.put(busy, count=10_000, due=START - timedelta(hours=1))
        assert len(jobs.claim(6)) == 6
        jobs.put(idle, count=100)
        shares = Counter(c.tenant_id for c in jobs.claim(10))
        assert shares == {idle: 8, busy: 2}  # both stand at 8 now

    def test_more_tenants_than_places_take_turns(self, jobs: Jobs) -> None:
        tenants = [jobs.tenant() for _ in range(7)]
        for number, tenant in enumerate(tenants):
            jobs.put(tenant, count=50, due=START - timedelta(minutes=number))
        seen: set[uuid.UUID] = set()
        for _ in range(3):
            seen.update(c.tenant_id for c in jobs.claim(3))
        assert seen == set(tenants)

    def test_a_few_jobs_are_through_long_before_many(self, jobs: Jobs) -> None:
        many, few = jobs.tenant(), jobs.tenant()
        jobs.put(many, count=2_000, due=START - timedelta(hours=1))
        wanted = set(jobs.put(few, count=20))
        claims = 0
        while wanted:
            token = uuid.uuid4()
            claimed = jobs.claim(10, token=token)
            jobs.finish(token, claimed)
            wanted -= {c.id for c in claimed}
            claims += 1
        assert claims == 4


class TestLanes:
    """A lane's jobs run one at a time, in the order of their ids."""

    def test_only_the_oldest_of_a_lane_is_claimable(self, jobs: Jobs) -> None:
        tenant = jobs.tenant()
        first, second, third = jobs.put(tenant, lane="a", count=3)
        (other,) = jobs.put(tenant, lane="b")
        token = uuid.uuid4()
        claimed = jobs.claim(token=token)
        assert {c.id for c in claimed} == {first, other}
        assert jobs.claim() == []  # while it runs
        jobs.finish(token, claimed)
        again = uuid.uuid4()
        (c,) = jobs.claim(token=again)
        assert c.id == second
        jobs.finish(again, [c])
        assert [c.id for c in jobs.claim()] == [third]

    def test_lanes_of_two_tenants_are_two(self, jobs: Jobs) -> None:
        jobs.put(jobs.tenant(), lane="a")
        jobs.put(jobs.tenant(), lane="a")
        assert len(jobs.claim()) == 2

    def test_the_older_goes_first_even_where_it_is_due_later(self, jobs: Jobs) -> None:
        tenant = jobs.tenant()
        (older,) = jobs.put(tenant, lane="a", due=START + timedelta(minutes=1))
        (younger,) = jobs.put(tenant, lane="a", due=START - timedelta(minutes=1), priority=10)
        assert jobs.claim() == []
        assert [c.id for c in jobs.claim(now=START + timedelta(minutes=1))] == [older]
        assert jobs.row(younger)["status"] == "pending"

    def test_a_retry_holds_its_lane(self, jobs: Jobs) -> None:
        tenant = jobs.tenant()
        first, second = jobs.put(tenant, lane="a", count=2)
        token = uuid.uuid4()
        jobs.finish(token, jobs.claim(token=token), "retry", until=START + timedelta(minutes=5))
        assert jobs.claim() == []
        later = START + timedelta(minutes=5)
        assert [c.id for c in jobs.claim(now=later)] == [first]
        assert jobs.row(second)["status"] == "pending"

    def test_a_failed_or_cancelled_job_frees_its_lane(self, jobs: Jobs) -> None:
        tenant = jobs.tenant()
        _, second, third = jobs.put(tenant, lane="a", count=3)
        token = uuid.uuid4()
        jobs.finish(token, jobs.claim(token=token), "failed", error="GiveUp")
        with jobs.app.transaction():
            set_tenant(jobs.app, tenant)
            jobs.app.execute(
                "update messaging.scheduled_jobs set status = 'cancelled' where id = %s", (second,)
            )
        assert [c.id for c in jobs.claim()] == [third]

    def test_a_job_that_is_committed_late_does_not_run_beside_a_younger_one(
        self, jobs: Jobs
    ) -> None:
        # The smaller id is not committed yet when the greater one is claimed: no look can see it.
        tenant = jobs.tenant()
        with psycopg.connect(jobs.database.superuser_url) as slow:
            slow.execute(
                "insert into messaging.scheduled_jobs (tenant_id, job_type, lane, scheduled_for)"
                " values (%s, 'work', 'a', %s)",
                (tenant, START),
            )
            (younger,) = jobs.put(tenant, lane="a")
            token = uuid.uuid4()
            claimed = jobs.claim(token=token)
            assert [c.id for c in claimed] == [younger]
            slow.commit()
        assert jobs.claim() == []
        jobs.finish(token, claimed)
        assert len(jobs.claim()) == 1

    def test_a_lost_race_for_a_lane_is_tried_again_inside_the_door(self, jobs: Jobs) -> None:
        # One worker has claimed the younger and not committed, the other sees the older free: the
        # running-lane index makes it wait, refuses it, and the door looks again.
        tenant = jobs.tenant()
        (older,) = jobs.put(tenant, lane="a", due=START + timedelta(hours=1))
        (younger,) = jobs.put(tenant, lane="a")
        (free,) = jobs.put(tenant)
        with ThreadPoolExecutor(1) as pool, psycopg.connect(jobs.database.superuser_url) as first:
            first.execute(
                "update messaging.scheduled_jobs set status = 'running', lease_token = %s,"
                " lease_until = %s where id = %s",
                (uuid.uuid4(), START + timedelta(days=1), younger),
            )
            second = pool.submit(jobs.claim, now=START + timedelta(hours=1))
            with pytest.raises(TimeoutError):
                second.result(timeout=0.3)  # it waits to see how the first one ends
            first.commit()
            assert [c.id for c in second.result(timeout=30)] == [free]
        assert jobs.row(older)["status"] == "pending"

    def test_eight_workers_keep_every_lane_in_order(self, jobs: Jobs) -> None:
        tenants = [jobs.tenant() for _ in range(3)]
        for number in range(600):
            jobs.put(tenants[number % 3], lane=str(number % 20))
        with jobs.everything.transaction():
            jobs.everything.execute(
                "create table public.history (at bigint generated always as identity,"
                " tenant_id uuid, id bigint, event text)"
            )
            jobs.everything.execute("grant insert on public.history to app")

        def work(_: int) -> int:
            done = 0
            with jobs.another_app() as app:
                while True:
                    token = uuid.uuid4()
                    claimed = store.claim(
                        app, kinds={"work": 8}, limit=7, lease=LEASE, token=token, now=START
                    )
                    for event in ("begin", "end"):
                        for c in claimed:
                            app.execute(
                                "insert into public.history (tenant_id, id, event)"
                                " values (%s, %s, %s)",
                                (c.tenant_id, c.id, event),
                            )
                    ended = [store.Ended(c.tenant_id, c.id, "completed") for c in claimed]
                    assert store.finish(app, token, ended, now=START) == {c.id for c in claimed}
                    done += len(claimed)
                    if not claimed and jobs_left(app) == 0:
                        return done

        def jobs_left(app: psycopg.Connection[tuple[object, ...]]) -> int:
            with jobs.another_app() as asker:
                left = 0
                for tenant in tenants:
                    with asker.transaction():
                        set_tenant(asker, tenant)
                        row = asker.execute(
                            "select count(*) from messaging.scheduled_jobs"
                            " where status in ('pending', 'running')"
                        ).fetchone()
                        assert row is not None
                        left += row[0]
                return left

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(work, range(8))) == 600
        history = jobs.everything.execute(
            "select h.event, j.id, j.tenant_id::text || j.lane from public.history as h"
            " join messaging.scheduled_jobs as j using (tenant_id, id) order by h.at"
        ).fetchall()
        assert Counter(event for event, _, _ in history) == {"begin": 600, "end": 600}
        running: dict[str, int] = {}
        newest: dict[str, int] = {}
        for event, job, lane in history:
            if event == "begin":
                assert lane not in running, "two jobs of one lane at once"
                assert job > newest.get(lane, 0), "a lane out of order"
                running[lane], newest[lane] = job, job
            else:
                assert running.pop(lane) == job


class TestOneWaitsPerKey:
    """One waiting job per tenant, kind and key."""

    @staticmethod
    def enqueue(jobs: Jobs, tenant: uuid.UUID, key: str = "k") -> int | None:
        with jobs.app.transaction():
            set_tenant(jobs.app, tenant)
            return store.enqueue(
                jobs.app, tenant_id=tenant, job_type="work", args={}, unique_key=key, now=START
            )

    def test_a_second_one_is_not_put_in_while_the_first_waits(self, jobs: Jobs) -> None:
        a, b = jobs.tenant(), jobs.tenant()
        assert self.enqueue(jobs, a) is not None
        assert self.enqueue(jobs, a) is None
        assert self.enqueue(jobs, a, "another") is not None
        assert self.enqueue(jobs, b) is not None

    def test_what_comes_while_it_runs_waits_in_a_job_of_its_own(self, jobs: Jobs) -> None:
        tenant = jobs.tenant()
        first = self.enqueue(jobs, tenant)
        token = uuid.uuid4()
        claimed = jobs.claim(token=token)
        second = self.enqueue(jobs, tenant)
        assert second not in (None, first)
        # and the first may come back without being in the second's way
        assert jobs.finish(token, claimed, "retry", until=START) == {first}
        assert self.enqueue(jobs, tenant) is None
        assert [c.id for c in jobs.claim()] == [first, second]  # the longest due first

    def test_intake_appends_to_the_waiting_job_under_the_same_index(self, jobs: Jobs) -> None:
        tenant = jobs.tenant()
        conversation = uuid.uuid4()
        messages = [uuid.uuid4() for _ in range(3)]
        with jobs.app.transaction():
            set_tenant(jobs.app, tenant)
            for message in messages:
                jobs.app.execute(
                    "select messaging.enqueue_reactions(%s, array[%s], array[%s], %s)",
                    (tenant, conversation, message, START),
                )
        (claimed,) = jobs.claim(kinds={"react_to_message": 8})
        assert claimed.args == {
            "conversation_id": str(conversation),
            "message_ids": [str(message) for message in messages],
        }


class TestPeriods:
    """One row per period, however many ask."""

    def test_eight_at_once_put_in_one(self, jobs: Jobs) -> None:
        def tick(_: int) -> int:
            with jobs.another_app() as app, app.transaction():
                set_tenant(app, uuid.UUID(int=0))
                return store.enqueue_periods(app, {"hourly": 3600, "often": 60}, now=START)

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(tick, range(8))) == 2
        assert jobs.count("pending") == 2

    def test_a_finished_period_stays_finished_and_the_next_one_is_new(self, jobs: Jobs) -> None:
        def tick(seconds: int) -> int:
            with jobs.app.transaction():
                set_tenant(jobs.app, uuid.UUID(int=0))
                now = START + timedelta(seconds=seconds)
                return store.enqueue_periods(jobs.app, {"often": 60}, now=now)

        assert [tick(0), tick(59)] == [1, 0]
        token = uuid.uuid4()
        (claimed,) = jobs.claim(token=token, kinds={"often": 3})
        jobs.finish(token, [claimed])
        assert [tick(30), tick(60), tick(61)] == [0, 1, 0]
        row = jobs.row(claimed.id)
        assert row["period_key"] == "2031-03-04T12:00:00Z"
        assert row["scheduled_for"] == START.isoformat()


class TestOtherTenants:
    """The app role sees one tenant's jobs; only the doors hand out all tenants'."""

    def test_the_app_sees_the_jobs_of_the_tenant_it_acts_for(self, jobs: Jobs) -> None:
        a, b = jobs.tenant(), jobs.tenant()
        jobs.put(a, count=2)
        jobs.put(b, count=3)
        assert jobs.app.execute("select * from messaging.scheduled_jobs").fetchall() == []
        with jobs.app.transaction():
            set_tenant(jobs.app, a)
            seen = jobs.app.execute("select tenant_id from messaging.scheduled_jobs").fetchall()
            assert seen == [(a,), (a,)]
            changed = jobs.app.execute("update messaging.scheduled_jobs set priority = 1")
            assert changed.rowcount == 2

    def test_the_app_puts_no_job_into_another_tenant(self, jobs: Jobs) -> None:
        a, b = jobs.tenant(), jobs.tenant()
        jobs.app.execute("select set_config('switchboard.tenant_id', %s, false)", (str(a),))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            store.enqueue(jobs.app, tenant_id=b, job_type="work", args={})
