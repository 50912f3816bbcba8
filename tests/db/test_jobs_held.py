"""What one transaction holds open, or a dead worker has leased, delays itself and nothing else."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from switchboard.jobs._kind import Context, Effects, JobKind, NoArgs
from switchboard.kernel.db import set_tenant
from switchboard.store import jobs as store
from switchboard.store import jobs_by_hand
from switchboard.store.events import SYSTEM_TENANT
from tests.databases import ClonedDatabase, part_with
from tests.db.jobs_at_hand import LEASE, START, opened
from tests.db.jobs_worker import AnyArgs, Bench, Kinds, note, work

#: A worker that waits for a lock longer than this has been held up, and fails.
PATIENCE = "set lock_timeout = '50ms'"


@pytest.fixture
def bench(database: ClonedDatabase) -> Iterator[Bench]:
    with opened(database) as jobs:
        bench = Bench(jobs)
        bench.tools.db.connection().execute(PATIENCE)
        yield bench
        part_with(bench.tools.db)


@pytest.fixture
def held(bench: Bench) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the app role whose transaction stays open until the test ends it."""
    with psycopg.connect(bench.jobs.database.app_url) as connection:
        connection.execute("set idle_in_transaction_session_timeout = 0")
        connection.commit()
        yield connection
        connection.rollback()


def hold_a_claim(held: psycopg.Connection[Any], limit: int) -> tuple[uuid.UUID, list[int]]:
    """Claim and do not commit; return the token and what was taken."""
    token = uuid.uuid4()
    taken = store.claim(held, kinds={"work": 8}, limit=limit, lease=LEASE, token=token, now=START)
    return token, [job.id for job in taken]


def ran(bench: Bench) -> set[int]:
    return {job for job, _ in bench.notes()}


def test_a_claim_that_is_never_committed_delays_what_it_took_and_its_lanes(
    bench: Bench, held: psycopg.Connection[Any]
) -> None:
    tenant, other = bench.jobs.tenant(), bench.jobs.tenant()
    taken = [*bench.jobs.put(tenant, lane="a"), *bench.jobs.put(tenant)]
    assert hold_a_claim(held, 2)[1] == taken
    (behind,) = bench.jobs.put(tenant, lane="a")
    free = [
        *bench.jobs.put(tenant, count=15),
        *bench.jobs.put(tenant, lane="b", count=3),
        *bench.jobs.put(other, lane="a", count=3),
    ]

    summary = bench.drain(work(lambda context, _: note(context)))

    assert (summary.stopped, summary.completed) == ("idle", len(free))
    assert ran(bench) == set(free)
    # Its connection dies: all of it is there as if never claimed.
    held.rollback()
    bench.drain(work(lambda context, _: note(context)))
    assert ran(bench) == {*free, *taken, behind}


def test_a_completion_that_is_never_committed_delays_its_own_lane(
    bench: Bench, held: psycopg.Connection[Any]
) -> None:
    tenant = bench.jobs.tenant()
    (first, behind) = bench.jobs.put(tenant, lane="a", count=2)
    token, _ = hold_a_claim(held, 1)
    held.commit()
    set_tenant(held, tenant)
    assert store.finish(held, token, [store.Ended(tenant, first, "completed")], now=START)
    free = bench.jobs.put(tenant, count=5)

    assert bench.drain(work(lambda context, _: note(context))).stopped == "idle"

    assert ran(bench) == set(free)
    # Its lease is over, and nobody can take from it what it has in its hands.
    bench.later(LEASE.total_seconds())
    assert bench.drain(work(lambda context, _: note(context))).stopped == "idle"
    assert ran(bench) == set(free)
    held.commit()
    bench.drain(work(lambda context, _: note(context)))
    assert ran(bench) == {*free, behind}


def test_a_worker_that_hangs_while_it_looks_for_periods_delays_nobodys_work(
    bench: Bench, held: psycopg.Connection[Any]
) -> None:
    set_tenant(held, SYSTEM_TENANT)
    assert store.enqueue_periods(held, {"tick": 60}, now=START) == 1
    free = bench.jobs.put(bench.jobs.tenant(), count=3)

    def run(context: Context, _: AnyArgs) -> Effects:
        return note(context)

    def tick(context: Context, _: NoArgs) -> Effects:
        return note(context, "tick")

    kinds = Kinds(
        JobKind(name="work", args=AnyArgs, run=run, needs_s=10.0),
        JobKind(name="tick", args=NoArgs, run=tick, needs_s=10.0, every_s=60),
    )
    summary = bench.drain(kinds)

    assert (summary.stopped, summary.ticked, summary.completed) == ("idle", 0, 3)
    assert ran(bench) == set(free)
    # It died, and the next look puts the period in.
    held.rollback()
    assert (bench.drain(kinds).ticked, bench.notes()[-1][1]) == (1, "tick")


def test_a_row_that_a_person_holds_delays_itself(
    bench: Bench, held: psycopg.Connection[Any]
) -> None:
    tenant = bench.jobs.tenant()
    (chosen, *free) = bench.jobs.put(tenant, count=4)
    set_tenant(held, tenant)
    assert jobs_by_hand.cancel(held, tenant, chosen, now=START)

    assert bench.drain(work(lambda context, _: note(context))).stopped == "idle"

    assert ran(bench) == set(free)


def test_a_dead_worker_delays_what_it_had_leased_until_the_lease_is_over(bench: Bench) -> None:
    tenant = bench.jobs.tenant()
    leased = bench.jobs.put(tenant, lane="a")
    bench.jobs.claim(1)
    behind = bench.jobs.put(tenant, lane="a")
    free = bench.jobs.put(tenant, count=12)

    bench.drain(work(lambda context, _: note(context)))
    assert ran(bench) == set(free)

    bench.later(LEASE.total_seconds() - 1)
    bench.drain(work(lambda context, _: note(context)))
    assert ran(bench) == set(free)

    bench.later(1)
    bench.drain(work(lambda context, _: note(context)))
    assert [job for job, _ in bench.notes()][-2:] == [*leased, *behind]
