"""What Meta told about accounts is forgotten after 180 days, in every tenant, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from switchboard.jobs import _retire, retire_account_events
from tests.databases import ClonedDatabase, part_with
from tests.db.jobs_at_hand import START, opened
from tests.db.jobs_worker import Bench, Kinds

KINDS = Kinds(retire_account_events.KIND)


@pytest.fixture
def bench(database: ClonedDatabase) -> Iterator[Bench]:
    with opened(database) as jobs:
        bench = Bench(jobs)
        yield bench
        part_with(bench.tools.db)


def tenant_of(bench: Bench) -> UUID:
    """Make a tenant with a business account that is named like it."""
    tenant = bench.jobs.tenant()
    bench.jobs.everything.execute(
        "insert into messaging.whatsapp_business_accounts (tenant_id, waba_id) values (%s, %s)",
        (tenant, str(tenant)),
    )
    return tenant


def put(bench: Bench, tenant: UUID, name: str, came: datetime, *, told: bool = True) -> None:
    bench.jobs.everything.execute(
        "insert into messaging.whatsapp_account_events (tenant_id, waba_id, field, event, detail,"
        " occurred_at, sha256, created_at) values (%s, %s, 'security', %s, '{}', %s, sha256(%s),"
        " %s)",
        (tenant, str(tenant), name, START if told else None, uuid4().bytes, came),
    )


def left(bench: Bench) -> list[str]:
    rows = bench.jobs.everything.execute(
        "select event from messaging.whatsapp_account_events order by 1"
    ).fetchall()
    return [name for (name,) in rows]


def results(bench: Bench) -> list[dict[str, int]]:
    rows = bench.jobs.everything.execute(
        "select result from messaging.scheduled_jobs where job_type = 'retire_account_events'"
        " and status = 'completed' order by id"
    ).fetchall()
    return [result for (result,) in rows]


def test_an_event_is_kept_for_180_days_after_it_came(bench: Bench) -> None:
    for tenant in (tenant_of(bench), tenant_of(bench)):
        put(bench, tenant, "old", START - timedelta(days=180, seconds=1))
        put(bench, tenant, "old without a time", START - timedelta(days=400), told=False)
        put(bench, tenant, "young", START - timedelta(days=180))
        put(bench, tenant, "young without a time", START, told=False)

    bench.drain(KINDS)

    assert left(bench) == ["young", "young", "young without a time", "young without a time"]
    assert results(bench) == [{"retired": 4}]
    bench.later(3600)
    bench.drain(KINDS)
    assert left(bench) == ["young without a time", "young without a time"]


def test_many_are_forgotten_in_small_transactions(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_retire, "_BATCH", 3)
    tenants = [tenant_of(bench) for _ in range(3)]
    for n in range(10):
        put(bench, tenants[n % 3], f"{n}", START - timedelta(days=200 + n))
    put(bench, tenants[0], "new", START)

    bench.drain(KINDS)

    assert left(bench) == ["new"]
    assert results(bench) == [{"retired": 10}]


def test_a_slice_that_is_over_leaves_the_rest_for_the_next_hour(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_retire, "_BATCH", 1)
    monkeypatch.setattr(_retire, "_SLICE_S", 0.0)
    tenant = tenant_of(bench)
    for n in range(2):
        put(bench, tenant, f"{n}", START - timedelta(days=200 - n))

    bench.drain(KINDS)

    assert left(bench) == ["1"]
    bench.later(3600)
    bench.drain(KINDS)
    assert left(bench) == []
