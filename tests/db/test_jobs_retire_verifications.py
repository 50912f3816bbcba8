"""Verifications are deleted 30 days after their codes were over, whatever their tenant."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from switchboard.jobs import _retire, retire_verifications
from tests.databases import ClonedDatabase, part_with
from tests.db.jobs_at_hand import START, opened
from tests.db.jobs_worker import Bench, Kinds
from tests.sending import Place, Time

KINDS = Kinds(retire_verifications.KIND)
KEPT = timedelta(days=30)


@pytest.fixture
def bench(database: ClonedDatabase) -> Iterator[Bench]:
    with opened(database) as jobs:
        bench = Bench(jobs)
        yield bench
        part_with(bench.tools.db)


def add(bench: Bench, expires: datetime) -> None:
    place = Place(bench.jobs.everything, Time())
    person = place.person()
    bench.jobs.everything.execute(
        "insert into messaging.phone_verifications (tenant_id, id, contact_id, account_id, phone,"
        " status, expires_at, created_at) values (%s, %s, %s, %s, %s, 'expired', %s, %s)",
        (
            place.tenant_id,
            uuid4(),
            person.contact_id,
            place.account_id,
            person.phone,
            expires,
            expires - timedelta(minutes=10),
        ),
    )


def left(bench: Bench) -> list[datetime]:
    rows = bench.jobs.everything.execute(
        "select expires_at from messaging.phone_verifications order by 1"
    ).fetchall()
    return [at for (at,) in rows]


def test_a_verification_goes_after_thirty_days(bench: Bench) -> None:
    for _ in range(2):
        add(bench, START - KEPT - timedelta(seconds=1))
    add(bench, START - KEPT)
    bench.drain(KINDS)
    assert left(bench) == [START - KEPT]
    bench.later(3600)
    bench.drain(KINDS)
    assert left(bench) == []


def test_many_go_in_small_transactions(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_retire, "_BATCH", 3)
    for n in range(7):
        add(bench, START - timedelta(days=31 + n))
    add(bench, START)
    bench.drain(KINDS)
    assert left(bench) == [START]
