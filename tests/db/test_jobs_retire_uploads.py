"""Uploads that Meta has forgotten are forgotten here too; one that was made anew stays."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

import psycopg
import pytest

from switchboard.jobs import _retire, retire_uploads
from switchboard.kernel.db import Connection
from switchboard.store import media
from tests.databases import ClonedDatabase, part_with
from tests.db.jobs_at_hand import START, opened
from tests.db.jobs_worker import Bench, Kinds
from tests.deliveries import until
from tests.sending import Place, Time

KINDS = Kinds(retire_uploads.KIND)
KEPT = timedelta(days=30)


@pytest.fixture
def bench(database: ClonedDatabase) -> Iterator[Bench]:
    with opened(database) as jobs:
        bench = Bench(jobs)
        yield bench
        part_with(bench.tools.db)


def number(bench: Bench) -> Place:
    return Place(bench.jobs.everything, Time())


def keep(connection: Connection, place: Place, name: str, uploaded: datetime) -> None:
    """Remember an upload, as whoever makes it does."""
    media.keep_upload(
        connection,
        place.tenant_id,
        place.account_id,
        sha256=name.encode().ljust(32),
        mime_type="application/pdf",
        wa_media_id=name,
        size=1,
        now=uploaded,
    )


def left(bench: Bench) -> list[str]:
    rows = bench.jobs.everything.execute(
        "select wa_media_id from messaging.media_uploads order by 1"
    ).fetchall()
    return [name for (name,) in rows]


def results(bench: Bench) -> list[dict[str, int]]:
    rows = bench.jobs.everything.execute(
        "select result from messaging.scheduled_jobs where job_type = 'retire_uploads'"
        " and status = 'completed' order by id"
    ).fetchall()
    return [result for (result,) in rows]


def test_an_upload_is_forgotten_when_meta_has_forgotten_it(bench: Bench) -> None:
    for place in (number(bench), number(bench)):
        keep(bench.jobs.everything, place, "old", START - KEPT - timedelta(seconds=1))
        keep(bench.jobs.everything, place, "young", START - KEPT)

    bench.drain(KINDS)

    assert left(bench) == ["young", "young"]
    assert results(bench) == [{"retired": 2}]
    bench.later(3600)
    bench.drain(KINDS)
    assert left(bench) == []


def test_many_are_forgotten_in_small_transactions(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_retire, "_BATCH", 3)
    places = [number(bench) for _ in range(3)]
    for n in range(10):
        keep(bench.jobs.everything, places[n % 3], f"{n}", START - timedelta(days=31 + n))
    keep(bench.jobs.everything, places[0], "new", START)

    bench.drain(KINDS)

    assert left(bench) == ["new"]
    assert results(bench) == [{"retired": 10}]


def test_a_slice_that_is_over_leaves_the_rest_for_the_next_hour(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_retire, "_BATCH", 1)
    monkeypatch.setattr(_retire, "_SLICE_S", 0.0)
    place = number(bench)
    for n in range(2):
        keep(bench.jobs.everything, place, f"{n}", START - timedelta(days=40 - n))

    bench.drain(KINDS)

    assert left(bench) == ["1"]
    bench.later(3600)
    bench.drain(KINDS)
    assert left(bench) == []


def test_an_upload_that_is_made_anew_meanwhile_stays(bench: Bench) -> None:
    place = number(bench)
    keep(bench.jobs.everything, place, "old", START - timedelta(days=31))
    gone: list[int] = []
    database = bench.jobs.database
    with (
        psycopg.connect(database.superuser_url) as renewing,
        psycopg.connect(database.app_url, autocommit=True) as retiring,
    ):
        keep(renewing, place, "old", START)
        waiter = threading.Thread(
            target=lambda: gone.append(media.retire_uploads(retiring, limit=10, now=START))
        )
        waiter.start()
        pids = (renewing.info.backend_pid, retiring.info.backend_pid)
        until(
            lambda: (
                bench.jobs.everything.execute(
                    "select %s = any (pg_blocking_pids(%s))", pids
                ).fetchone()
                == (True,)
            )
        )
        renewing.commit()
        waiter.join()
    assert gone == [0]
    assert left(bench) == ["old"]
