"""The product of roads, boundaries, faults and webhook orders, and what runs it."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from multiprocessing import get_context, parent_process
from threading import Thread

import psycopg

from switchboard.kernel.log import log
from tests.crash.cases import POINTS, Case, Road, Then
from tests.crash.history import History
from tests.crash.meta import PASSING, REFUSED, SILENT, TAKEN, Fault
from tests.crash.processes import Processes, Urls
from tests.crash.verdicts import wrongs
from tests.crash.webhooks import ORDERS, Webhooks
from tests.sending import Place, Time

#: After these Meta has the message sooner or later; of the others no webhook tells.
_CORE = (Fault.NONE, Fault.CONNECT, Fault.THROTTLED, *sorted(TAKEN))
_REST = sorted(PASSING - {Fault.CONNECT, Fault.THROTTLED})
_NEVER = sorted(REFUSED | SILENT)
_FEW = (Webhooks.BEFORE, Webhooks.AFTER, Webhooks.LOST, Webhooks.FAILED_AFTER)
_SOME = (*_FEW, Webhooks.BARE_BEFORE, Webhooks.LATE, Webhooks.DELIVERED_THEN_FAILED)


def points(road: Road) -> list[int]:
    """Return every boundary of a road."""
    return list(range(1, POINTS[road] + 1))


def default_cases() -> list[Case]:
    """Return the whole product under the default policy: nothing in doubt is sent again."""
    made = []
    for road in (Road.CALLER, Road.WORKER):
        for point in (None, *points(road)):
            made += _cases(road, point, Then.CRASH, _CORE, ORDERS)
            made += _cases(road, point, Then.CRASH, _REST, _FEW)
            made += _cases(road, point, Then.CRASH, _NEVER, [Webhooks.AFTER])
        for point, then in itertools.product(points(road), (Then.SECOND, Then.SECOND_LATE)):
            made += _cases(road, point, then, _CORE[:4], _SOME)
            made += _cases(road, point, then, _REST, [Webhooks.AFTER])
            made += _cases(road, point, then, _NEVER[::3], [Webhooks.AFTER])
    for point, then in itertools.product(points(Road.QUEUE), Then):
        made += _cases(Road.QUEUE, point, then, _CORE[:4], _FEW)
    for point, then in itertools.product((None, *points(Road.BATCH)), Then):
        made += _cases(Road.BATCH, point, then, (*_CORE[:4], Fault.PAIR_FULL), _FEW)
        made += _cases(Road.BATCH, point, then, [Fault.REFUSED, Fault.RESET_BEFORE], _FEW[:1])
    return made


def resend_cases() -> list[Case]:
    """Return the product of a number that sends once more what nobody told the end of."""
    made = []
    for road in (Road.CALLER, Road.WORKER):
        for point in (None, *points(road)):
            made += _cases(road, point, Then.CRASH, (Fault.NONE, Fault.TIMEOUT_AFTER), ORDERS)
    for point, prior in itertools.product(
        (None, *points(Road.RESEND)), (Fault.TIMEOUT_BEFORE, Fault.TIMEOUT_AFTER)
    ):
        faults = (Fault.NONE, Fault.CONNECT, Fault.THROTTLED, Fault.TIMEOUT_AFTER, Fault.REFUSED)
        orders = (*_SOME, Webhooks.FAILED_BEFORE)
        for case in _cases(Road.RESEND, point, Then.CRASH, faults, orders):
            made.append(replace(case, prior=prior))
        for case in _cases(Road.RESEND, point, Then.SECOND_LATE, faults[:2], _FEW):
            made.append(replace(case, prior=prior))
    return [replace(case, resend=True) for case in made]


def sample(cases: Sequence[Case]) -> list[Case]:
    """Return two of each road, boundary and disturbance, each fault and each order among them."""
    strata: dict[tuple[Road, Then, int | None], list[Case]] = {}
    for case in cases:
        strata.setdefault((case.road, case.then, case.point), []).append(case)
    chosen = []
    seen: Counter[str] = Counter()
    for stratum in strata.values():
        # What has been seen least.
        chosen.append(min(stratum, key=lambda one: seen[one.fault]))
        seen.update((chosen[-1].fault, chosen[-1].webhooks))
        chosen.append(min(stratum, key=lambda one: seen[one.webhooks]))
        seen.update((chosen[-1].fault, chosen[-1].webhooks))
    return chosen


def _cases(
    road: Road,
    point: int | None,
    then: Then,
    faults: Iterable[Fault],
    orders: Iterable[Webhooks],
) -> list[Case]:
    return [
        Case(road, fault, order, point, then) for fault, order in itertools.product(faults, orders)
    ]


@dataclass
class Counts:
    """How many histories ended how."""

    histories: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    #: On the phone twice where the policy may do that, by whether the webhooks were silent.
    twice: int = 0
    #: doubled, lost, stuck, hidden, wrong.
    wrong: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, other: Counts) -> None:
        """Count another share."""
        self.histories += other.histories
        self.ends += other.ends
        self.twice += other.twice
        self.wrong += other.wrong
        self.failures += other.failures

    def __str__(self) -> str:
        wrong = {name: self.wrong[name] for name in ("doubled", "lost", "stuck", "hidden", "wrong")}
        return (
            f"{self.histories} histories; messages by end {dict(sorted(self.ends.items()))};"
            f" twice on a phone by the policy {self.twice}; {wrong}"
        )


def run(urls: Urls, cases: Sequence[Case]) -> Counts:
    """Run `cases` one after another on one database."""
    counts = Counts()
    log.set_level("CRITICAL")
    with (
        closing(Processes(urls)) as processes,
        closing(psycopg.connect(urls.superuser_url, autocommit=True)) as everything,
    ):
        for case in cases:
            place = Place(everything, Time())
            ledger = History(processes, place, case).run()
            counts.histories += 1
            for sent in ledger.sent:
                counts.ends.update(str(row["status"]) for row in sent.rows)
                counts.twice += len(sent.taken) > 1
            found = wrongs(case, ledger)
            counts.wrong.update({wrong.split(":")[0] for wrong in found})
            if found:
                counts.failures.append(f"{case}: {'; '.join(found)}; {ledger.brief()}")
                # What is left of it must not go out in the next one.
                everything.execute(
                    "delete from messaging.send_attempts where tenant_id = %s", (place.tenant_id,)
                )
    log.set_level("INFO")
    return counts


def _end_with_parent() -> None:
    """Have this process end when the test run is killed: a pool's would wait for ever."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()


@dataclass(frozen=True)
class Database:
    """Where one is, for another process."""

    app_url: str
    superuser_url: str


def run_in_processes(databases: Sequence[Urls], cases: Sequence[Case]) -> Counts:
    """Run `cases` in as many processes as there are databases: claims know no bounds inside one."""
    counts = Counts()
    urls = [Database(one.app_url, one.superuser_url) for one in databases]
    with ProcessPoolExecutor(
        len(urls), mp_context=get_context("spawn"), initializer=_end_with_parent
    ) as pool:
        for part in pool.map(run, urls, [cases[n :: len(urls)] for n in range(len(urls))]):
            counts.add(part)
    return counts
