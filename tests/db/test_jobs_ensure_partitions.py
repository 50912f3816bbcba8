"""Partitions are made ahead, hourly, by the app role."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from switchboard.jobs.ensure_partitions import KIND
from switchboard.worker import Summary
from tests.databases import ClonedDatabase, part_with
from tests.db.jobs_at_hand import opened
from tests.db.jobs_worker import Bench, Kinds


@pytest.fixture
def bench(database: ClonedDatabase) -> Iterator[Bench]:
    with opened(database) as jobs:
        bench = Bench(jobs)
        yield bench
        part_with(bench.tools.db)


def partitions(bench: Bench) -> set[str]:
    """Return the names of the monthly partitions."""
    rows = bench.jobs.everything.execute(
        "select relname from pg_class where relispartition and relkind = 'r'"
    ).fetchall()
    return {name for (name,) in rows}


def test_two_months_ahead_are_made_and_a_second_run_makes_none(bench: Bench) -> None:
    bench.tools.at(datetime(2034, 11, 20, tzinfo=UTC))
    assert bench.drain(Kinds(KIND)).completed == 1
    made = partitions(bench)
    assert {
        f"{table}_{month}"
        for table in ("whatsapp_messages", "delivery_logs", "message_status_events")
        for month in ("2034_11", "2034_12", "2035_01")
    } <= made
    assert "message_status_events_2034_04" in made  # statuses may be seven months old
    bench.later(3600)
    assert bench.drain(Kinds(KIND)).completed == 1
    assert partitions(bench) == made
    results = bench.jobs.everything.execute(
        "select jsonb_array_length(result -> 'made') from messaging.scheduled_jobs order by id"
    ).fetchall()
    assert results[0][0] > 0
    assert results[1] == (0,)


def test_one_run_an_hour(bench: Bench) -> None:
    bench.tools.at(datetime(2031, 3, 4, 12, 0, tzinfo=UTC))
    for _ in range(3):
        bench.drain(Kinds(KIND))
        bench.tools.seconds += 60
        bench.later(60)
    assert bench.jobs.count("completed") == 1


def test_a_table_that_a_reader_holds_is_tried_again(bench: Bench) -> None:
    bench.tools.at(datetime(2034, 11, 20, tzinfo=UTC))
    with psycopg.connect(bench.jobs.database.superuser_url) as reader:
        reader.execute("select count(*) from messaging.delivery_logs")
        summary = bench.drain(Kinds(KIND))
        assert (summary.retried, summary.completed) == (1, 0)
    row = bench.jobs.everything.execute(
        "select status, error_message from messaging.scheduled_jobs"
    ).fetchone()
    assert row == ("pending", "LockNotAvailable 55P03")
    bench.later(timedelta(minutes=15).total_seconds())
    assert bench.drain(Kinds(KIND)) == Summary(completed=1)
    assert "delivery_logs_2035_01" in partitions(bench)
