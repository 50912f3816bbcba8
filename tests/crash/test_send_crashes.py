"""The crash sweep: every boundary of the send road × every fault × every order of webhooks.

On a real Postgres, through the project's own code. Each history must end settled, with at most one
message on the phone and none lost in silence.
"""

from __future__ import annotations

import itertools
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import pytest

from switchboard.kernel.log import log
from tests.crash.history import POINTS, History, Processes, Road, Webhooks, check
from tests.crash.meta import Fault
from tests.databases import ClonedDatabase
from tests.sending import Place, Time, connect

Case = tuple[Road, int | None, Fault, Webhooks]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Thousands of lines say nothing."""
    log.set_level("CRITICAL")
    yield
    log.set_level("INFO")


def cases() -> list[Case]:
    """Return the whole product."""
    return [
        (road, point, fault, webhooks)
        for road in Road
        for point in [None, *range(1, POINTS[road] + 1)]
        for fault, webhooks in itertools.product(Fault, Webhooks)
    ]


def sweep(database: ClonedDatabase, chosen: list[Case], *, resend: bool = False) -> Counter[str]:
    """Run `chosen` and return how they ended; raises AssertionError naming the history.

    With `resend` the number sends once more what nobody told the end of, and may then double what
    Meta took in silence; never while webhooks come in time.
    """
    counts: Counter[str] = Counter()
    processes = Processes(database)
    with connect(database) as everything, closing(processes):
        for road, point, fault, webhooks in chosen:
            place = Place(everything, Time())
            place.set_number(resend_once=resend)
            history = History(
                processes,
                place,
                road=road,
                fault=fault,
                webhooks=webhooks,
                crash_at=point,
                witness=resend,
            )
            ledger = history.run()
            silent = webhooks in {Webhooks.LOST, Webhooks.LATE}
            try:
                check(ledger, fault, webhooks, most=2 if resend and silent else 1)
            except AssertionError as error:
                raise AssertionError(
                    f"{road} crashed at {point}, {fault}, webhooks {webhooks}: {error}; {ledger}"
                ) from error
            counts[ledger.status] += 1
            counts["doubled"] += ledger.taken > 1
    return counts


def test_a_crash_anywhere_neither_loses_nor_doubles_a_message(database: ClonedDatabase) -> None:
    # Each boundary of each road with each fault at least once, webhooks in turn.
    chosen = [
        (road, point, fault, list(Webhooks)[(index + number) % len(Webhooks)])
        for road in Road
        for index, point in enumerate([None, *range(1, POINTS[road] + 1)])
        for number, fault in enumerate(Fault)
    ]
    counts = sweep(database, chosen)
    assert counts["doubled"] == 0
    assert counts["read"] > 0
    assert counts["undetermined"] > 0


@pytest.mark.soak
def test_the_whole_product_neither_loses_nor_doubles_a_message(database: ClonedDatabase) -> None:
    chosen = cases()
    random.Random(int(os.environ.get("SEED", "1"))).shuffle(chosen)
    counts = sweep(database, chosen)
    print(f"{len(chosen)} histories, default policy: {dict(sorted(counts.items()))}")
    assert counts["doubled"] == 0


def test_a_number_that_resends_once_doubles_only_what_no_webhook_told(
    database: ClonedDatabase,
) -> None:
    chosen: list[Case] = [
        (Road.CALLER, None, fault, webhooks)
        for fault in (Fault.NONE, Fault.TIMEOUT_BEFORE, Fault.TIMEOUT_AFTER, Fault.REFUSED)
        for webhooks in Webhooks
    ]
    counts = sweep(database, chosen, resend=True)
    # Of 24: what Meta took in silence and told too late or never.
    assert counts["doubled"] == 2


@pytest.mark.soak
def test_the_whole_product_of_a_number_that_resends_once(database: ClonedDatabase) -> None:
    chosen = cases()
    counts = sweep(database, chosen, resend=True)
    print(f"{len(chosen)} histories, one resend: {dict(sorted(counts.items()))}")


def test_the_boundaries_are_where_the_sweep_thinks_they_are(database: ClonedDatabase) -> None:
    processes = Processes(database)
    with connect(database) as everything, closing(processes):
        for road, points in POINTS.items():
            place = Place(everything, Time())
            history = History(
                processes,
                place,
                road=road,
                fault=Fault.NONE,
                webhooks=Webhooks.AFTER,
                crash_at=None,
            )
            history.run()
            names = history.boundaries.names
            assert len([name for name in names if "before" in name]) * 2 == len(names)
            # A worker looks once more whether anything is due: that claim is none of them.
            assert names[:points] == names[: len(names) - (2 if road is Road.WORKER else 0)], names
