"""Letters are forgotten: resolved ones after 30 days, open ones after the days that are set."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from switchboard.jobs import _retire, retire_dead_letters
from switchboard.kernel.settings import Settings
from tests.databases import ClonedDatabase, part_with
from tests.db.jobs_at_hand import START, opened
from tests.db.jobs_worker import Bench, Kinds


@pytest.fixture
def bench(database: ClonedDatabase) -> Iterator[Bench]:
    with opened(database) as jobs:
        bench = Bench(jobs)
        yield bench
        part_with(bench.tools.db)


def put(bench: Bench, tenant: Any, name: str, came: datetime, resolved: datetime | None) -> None:
    bench.jobs.everything.execute(
        "insert into messaging.webhook_dead_letters"
        " (tenant_id, sha256, body, reason, detail, received_at, resolved_at)"
        " values (%s, sha256(%s::bytea), %s::bytea, 'malformed', %s, %s, %s)",
        (tenant, name.encode(), name.encode(), name, came, resolved),
    )


def left(bench: Bench) -> list[str]:
    rows = bench.jobs.everything.execute(
        "select detail from messaging.webhook_dead_letters order by 1"
    ).fetchall()
    return [name for (name,) in rows]


def test_each_kind_of_letter_has_its_own_end_in_every_tenant(bench: Bench) -> None:
    def ago(days: float) -> datetime:
        return START - timedelta(days=days)

    for tenant in (bench.jobs.tenant(), bench.jobs.tenant()):
        name = str(tenant)[:4]
        put(bench, tenant, f"{name} open, new", ago(179.9), None)
        put(bench, tenant, f"{name} open, old", ago(180.1), None)
        put(bench, tenant, f"{name} resolved, new", ago(400), ago(29.9))
        put(bench, tenant, f"{name} resolved, old", ago(31), ago(30.1))

    bench.drain(Kinds(retire_dead_letters.KIND))

    assert {name.partition(" ")[2] for name in left(bench)} == {"open, new", "resolved, new"}
    assert len(left(bench)) == 4
    bench.tools.settings = Settings(database_url="", dead_letter_days=10)
    bench.later(3600)
    bench.drain(Kinds(retire_dead_letters.KIND))
    assert {name.partition(" ")[2] for name in left(bench)} == {"resolved, new"}


def test_many_are_forgotten_in_small_transactions(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_retire, "_BATCH", 3)
    tenants = [bench.jobs.tenant() for _ in range(3)]
    for n in range(10):
        put(bench, tenants[n % 3], f"{n}", START - timedelta(days=200 + n), None)
    put(bench, tenants[0], "new", START, None)

    bench.drain(Kinds(retire_dead_letters.KIND))

    assert left(bench) == ["new"]
    row = bench.jobs.everything.execute(
        "select result from messaging.scheduled_jobs where job_type = 'retire_dead_letters'"
    ).fetchone()
    assert row == ({"retired": 10},)
