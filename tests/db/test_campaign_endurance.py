"""A campaign in real time: workers are killed, it is paused, outcomes stay open, people stop it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from switchboard.kernel.clock import Clock
from switchboard.kernel.errors import Conflict, Unavailable
from switchboard.outbox.timing import SLICE
from switchboard.worker import drain
from tests.campaigning import Campaigns, campaigns
from tests.databases import ClonedDatabase
from tests.limited import quiet
from tests.sending import poll

WORKERS = 3
#: Seconds after a STOP in which what was under intent may still reach Meta.
UNDER_WAY_S = 5.0
#: Seconds that a worker is given: it begins nothing in the last sixty-five.
RUN_S = 80.0


@pytest.fixture
def at(database: ClonedDatabase) -> Iterator[Campaigns]:
    with campaigns(database) as made:
        yield made


class _Until:
    """Threads that do something again and again until they are told to stop."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def every(self, seconds: float, do: Callable[[], None]) -> None:
        """Do it, with pauses in between."""

        def run() -> None:
            while not self.stopped.wait(seconds):
                do()

        thread = threading.Thread(target=run)
        thread.start()
        self._threads.append(thread)

    def stop(self) -> None:
        """Wait for them."""
        self.stopped.set()
        for thread in self._threads:
            thread.join()


@pytest.mark.parametrize(
    ("recipients", "kill_s", "stops"),
    [(600, 2.5, 12), pytest.param(100_000, 5.0, 1_000, marks=pytest.mark.soak)],
)
def test_nobody_twice_nobody_after_their_stop_and_every_counter_true(
    at: Campaigns, recipients: int, kill_s: float, stops: int
) -> None:
    phones = at.people(recipients)
    if recipients < 1_000:
        # Slow enough to be disturbed.
        at.place.set_number(throughput="STANDARD")
    dice = random.Random(recipients)
    at.meta.answer = lambda phone: "timeout" if int(phone) % 100 == 7 else None
    arrived: dict[str, float] = {}
    at.meta.before = lambda body: arrived.__setitem__(body["to"].lstrip("+"), time.monotonic())
    said: dict[str, float] = {}
    at.clock.now = datetime.now(UTC)
    campaign = at.start(at.create(failure_limit=None))
    threads = _Until()

    def work() -> None:
        tools = at.process(Clock())
        drain(tools, time.monotonic() + RUN_S)
        tools.db.drop()

    def kill() -> None:
        with psycopg.connect(at.database.superuser_url, autocommit=True) as link:
            link.execute(
                "select pg_terminate_backend(pid) from (select pid from pg_stat_activity"
                " where usename = 'app' and state = 'active' and datname = %s"
                " order by random() limit 1) as one",
                (at.database.name,),
            )

    everything = psycopg.connect(at.database.superuser_url, autocommit=True)
    later = iter(dice.sample(phones[recipients // 3 :], stops))

    def stop_one() -> None:
        # Once it is under way: whoever has said it before is left out at the start.
        phone = next(later, None) if at.meta.taken else None
        if phone is not None:
            everything.execute(
                "update messaging.contacts set opt_in_status = 'opted_out', opted_out_at = now()"
                " where phone_number = %s",
                (f"+{phone}",),
            )
            said[phone] = time.monotonic()

    hand = at.process(Clock())
    leaked: list[int] = []

    def pause() -> None:
        with suppress(Unavailable, Conflict):
            at.pause(campaign, hand)
            before = len(at.meta.taken)
            time.sleep(0.5)
            leaked.append(len(at.meta.taken) - before)
            at.tools = hand
            at.resume(campaign)

    with quiet():
        for _ in range(WORKERS):
            threads.every(0.05, work)
        threads.every(kill_s, kill)
        threads.every(0.02, stop_one)
        threads.every(1.5 if recipients < 1_000 else 20.0, pause)
        try:
            poll(
                lambda: len(at.meta.taken) > 0.8 * recipients,
                seconds=60 if recipients < 1_000 else 1_500,
            )
        finally:
            threads.stop()
        everything.close()
        # Leases of the dead are over, what nobody knows is settled: an hour later, on a clock that
        # passes while nobody works.
        at.clock.now = datetime.now(UTC) + timedelta(minutes=3)
        at.tools = at.process()
        with suppress(Conflict):
            at.resume(campaign)
        at.work(3600)
    at.check(campaign)
    shown = at.show(campaign)
    assert shown.campaign.status == "completed"
    assert shown.progress.total == recipients
    states = at.recipients(campaign)
    taken = at.meta.phones
    assert set(taken.values()) == {1}
    sent = {phone for phone, (status, _) in states.items() if status == "sent"}
    unknown = {phone for phone, (status, _) in states.items() if status == "undetermined"}
    denied = {phone for phone, one in states.items() if one == ("denied", "opted_out")}
    assert len(sent) + len(unknown) + len(denied) == recipients
    # The stand-in's log, but for those whose outcome nobody knows, which are shown as such.
    assert sent <= set(taken) <= sent | unknown
    assert shown.progress.undetermined == len(unknown)
    assert {phone for phone in phones if int(phone) % 100 == 7} - denied <= unknown
    # At most what each worker had under intent when its connection was cut.
    assert all(arrived.get(phone, 0.0) < when + UNDER_WAY_S for phone, when in said.items())
    assert denied
    assert denied <= set(said)
    assert leaked
    assert max(leaked) <= WORKERS * SLICE
