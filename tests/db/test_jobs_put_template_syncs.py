"""Once a day every business account's templates are synced, spread over hours."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from switchboard.jobs import put_template_syncs
from tests.databases import ClonedDatabase, part_with
from tests.db.jobs_at_hand import START, opened
from tests.db.jobs_worker import Bench, Kinds
from tests.sending import Place, Time

KINDS = Kinds(put_template_syncs.KIND)


@pytest.fixture
def bench(database: ClonedDatabase) -> Iterator[Bench]:
    with opened(database) as jobs:
        bench = Bench(jobs)
        yield bench
        part_with(bench.tools.db)


def account(bench: Bench) -> Place:
    return Place(bench.jobs.everything, Time())


def put(bench: Bench) -> list[tuple[str, datetime]]:
    """Return the syncs that wait: whose, and when they are due."""
    return bench.jobs.everything.execute(
        "select args ->> 'waba_id', scheduled_for from messaging.scheduled_jobs"
        " where job_type = 'sync_templates' and status = 'pending' order by 1"
    ).fetchall()


def end_all(bench: Bench) -> None:
    bench.jobs.everything.execute(
        "update messaging.scheduled_jobs set status = 'completed', unique_key = null"
        " where job_type = 'sync_templates'"
    )


def test_every_active_account_is_put_in_once_a_day(bench: Bench) -> None:
    places = sorted((account(bench) for _ in range(3)), key=lambda place: place.waba_id)
    for _ in range(2):  # START is noon, so the day has two halves
        for _ in range(3):
            bench.drain(KINDS)
            assert [waba_id for waba_id, _ in put(bench)] == [place.waba_id for place in places]
            bench.later(3600)
        end_all(bench)
        bench.drain(KINDS)
        assert put(bench) == []
        bench.later(9 * 3600)
    rows = bench.jobs.everything.execute(
        "select tenant_id::text, priority, scheduled_for - created_at from"
        " messaging.scheduled_jobs where job_type = 'sync_templates'"
    ).fetchall()
    assert sorted(row[:2] for row in rows) == sorted(
        (str(place.tenant_id), 30) for place in places * 2
    )
    waits = {row[2] for row in rows}
    assert len(waits) == 3  # each account at the same time of the day
    assert all(timedelta(0) <= wait < put_template_syncs.SPREAD for wait in waits)


def test_who_is_disabled_or_has_no_token_is_left_out(bench: Bench) -> None:
    due, off, tokenless, closed = (account(bench) for _ in range(4))
    bench.jobs.everything.execute(
        "update messaging.whatsapp_business_accounts set is_active = false where waba_id = %s",
        (off.waba_id,),
    )
    tokenless.set_number(access_token_sealed=None)
    bench.jobs.everything.execute(
        "update messaging.tenants set is_active = false where id = %s", (closed.tenant_id,)
    )
    bench.drain(KINDS)
    assert [waba_id for waba_id, _ in put(bench)] == [due.waba_id]


def test_one_that_waits_already_is_not_put_in_beside(bench: Bench) -> None:
    place = account(bench)
    bench.jobs.everything.execute(
        "insert into messaging.scheduled_jobs (tenant_id, job_type, args, unique_key,"
        " scheduled_for) values (%s, 'sync_templates', %s, %s, %s)",
        (place.tenant_id, f'{{"waba_id": "{place.waba_id}"}}', place.waba_id, START),
    )
    bench.drain(KINDS)
    assert put(bench) == [(place.waba_id, START)]
