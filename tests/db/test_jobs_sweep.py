"""The sweep: what dead workers leased comes back, every minute, jobs and sends."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator

import pytest

from switchboard import outbox
from switchboard.jobs.sweep import KIND
from switchboard.tools import Tools
from switchboard.worker import MARGIN_S
from tests.databases import ClonedDatabase, part_with
from tests.db.jobs_at_hand import LEASE, opened
from tests.db.jobs_worker import Bench, Kinds


@pytest.fixture
def bench(database: ClonedDatabase) -> Iterator[Bench]:
    with opened(database) as jobs:
        bench = Bench(jobs)
        yield bench
        part_with(bench.tools.db)


def result(bench: Bench) -> dict[str, object]:
    """Return the newest sweep's result."""
    row = bench.jobs.everything.execute(
        "select result from messaging.scheduled_jobs where job_type = 'sweep'"
        " order by id desc limit 1"
    ).fetchone()
    assert row is not None
    return dict(row[0])


def test_jobs_whose_lease_is_over_are_pending_again_or_failed(bench: Bench) -> None:
    tenant = bench.jobs.tenant()
    (again,) = bench.jobs.put(tenant)
    (poison,) = bench.jobs.put(tenant, "once")
    bench.jobs.claim(kinds={"work": 8, "once": 1}, token=uuid.uuid4())
    bench.drain(Kinds(KIND))
    assert result(bench) == {"jobs_requeued": 0, "jobs_failed": 0, "sends": {}}
    assert bench.jobs.row(again)["status"] == "running"
    bench.tools.seconds += LEASE.total_seconds()
    bench.later(LEASE.total_seconds())
    bench.drain(Kinds(KIND))
    # Whoever comes first puts it right, the claim that takes the sweep's own job or the sweep.
    assert bench.jobs.row(again)["status"] == "pending"
    row = bench.jobs.row(poison)
    assert (row["status"], row["error_message"]) == ("failed", "LeaseExpired")


def test_the_outbox_sweeps_its_own(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Tools] = []

    def sweep(tools: Tools, deadline: float) -> Counter[str]:
        # With time for a statement before the job's own end.
        assert 0.0 < deadline < bench.tools.seconds + 100.0 - MARGIN_S
        asked.append(tools)
        return Counter({"unconfirmed": 2})

    monkeypatch.setattr(outbox, "sweep", sweep)
    bench.drain(Kinds(KIND))
    assert asked == [bench.tools]
    assert result(bench)["sends"] == {"unconfirmed": 2}
