"""The crash sweep: every boundary of the send road × every fault × every order of webhooks.

On a real Postgres, through the project's own code. Each history must end settled, with at most one
message on the phone and none lost in silence.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from local.postgres import PostgresServer
from switchboard.kernel.log import log
from tests.crash.cases import POINTS, Case, Road
from tests.crash.history import History
from tests.crash.meta import Fault
from tests.crash.processes import Processes
from tests.crash.product import Counts, default_cases, resend_cases, run, run_in_processes, sample
from tests.crash.webhooks import SILENT_ORDERS, Webhooks
from tests.databases import ClonedDatabase, cloned
from tests.sending import Place, Time, connect


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Thousands of lines say nothing."""
    log.set_level("CRITICAL")
    yield
    log.set_level("INFO")


def assert_clean(counts: Counts) -> None:
    """Nothing doubled, lost, stuck or otherwise wrong; the first that is are shown."""
    assert not counts.failures, f"{counts}\n" + "\n".join(counts.failures[:20])


def test_a_crash_anywhere_neither_loses_nor_doubles_a_message(database: ClonedDatabase) -> None:
    chosen = sample(default_cases())
    assert len(chosen) >= 200
    for road in {case.road for case in chosen}:
        # Each boundary of each road.
        assert {case.point for case in chosen if case.road is road} >= set(
            range(1, POINTS[road] + 1)
        )
    assert {case.fault for case in chosen} == set(Fault)
    assert {case.webhooks for case in chosen} == set(Webhooks)
    counts = run(database, chosen)
    assert_clean(counts)
    assert counts.twice == 0


def test_a_number_that_resends_once_doubles_only_what_no_webhook_told(
    database: ClonedDatabase,
) -> None:
    chosen = sample(resend_cases())
    counts = run(database, chosen)
    assert_clean(counts)
    assert 0 < counts.twice <= len([case for case in chosen if case.webhooks in SILENT_ORDERS])


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_the_whole_product_neither_loses_nor_doubles_a_message(
    postgres: PostgresServer, template: str
) -> None:
    default, resend = default_cases(), resend_cases()
    assert len(default) >= 5000
    seed = int(os.environ.get("SEED", "1"))
    tables = {
        "default policy": [case for case in default if case.webhooks not in SILENT_ORDERS],
        "default policy, webhooks late or lost": [
            case for case in default if case.webhooks in SILENT_ORDERS
        ],
        "one resend": [case for case in resend if case.webhooks not in SILENT_ORDERS],
        "one resend, webhooks late or lost": [
            case for case in resend if case.webhooks in SILENT_ORDERS
        ],
    }
    began = time.monotonic()
    failures = []
    with ExitStack() as stack:
        databases = [stack.enter_context(cloned(postgres, template)) for _ in range(2)]
        for name, cases in tables.items():
            random.Random(seed).shuffle(cases)
            counts = run_in_processes(databases, cases)
            print(f"{name}: {counts}")
            failures += counts.failures
            assert not counts.twice or name == "one resend, webhooks late or lost"
    print(f"{len(default) + len(resend)} histories, {time.monotonic() - began:.0f} s")
    assert not failures, "\n".join(failures[:50])


def test_the_boundaries_are_where_the_sweep_thinks_they_are(database: ClonedDatabase) -> None:
    with connect(database) as everything, closing(Processes(database)) as processes:
        for road, points in POINTS.items():
            case = Case(
                road,
                prior=Fault.TIMEOUT_BEFORE if road is Road.RESEND else None,
                resend=road is Road.RESEND,
            )
            history = History(processes, Place(everything, Time()), case)
            history.run()
            names = history.boundaries.names
            assert len(names) == points, (road, names)
            assert len([name for name in names if "before" in name]) * 2 == points
