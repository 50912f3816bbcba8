"""A Meta that counts what a number or a pair gets beyond its limits, in simulated time."""

from __future__ import annotations

import json
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any, Protocol
from uuid import UUID

import httpx

from local.simulator.limits import Limits
from switchboard import outbox
from switchboard.jobs._kind import JobKind
from switchboard.kernel.clock import uuid7
from switchboard.outbox import Origin, Outgoing
from switchboard.tools import Tools
from switchboard.worker import SENDING_S, drain
from tests.sending import Place


class NoJobs:
    """A worker's kinds of jobs: none, it only sends."""

    def __getitem__(self, name: str, /) -> JobKind[Any]:
        raise KeyError(name)

    def __iter__(self) -> Iterator[JobKind[Any]]:
        return iter(())


class Simulated:
    """A clock whose seconds pass when somebody sleeps, or is asked to let them pass."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.slept = 0.0
        self._last = 0

    def monotonic(self) -> float:
        return self.now.timestamp()

    def wall(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.turn(seconds)

    def turn(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def new_id(self) -> UUID:
        self._last = max(self._last + 1, int(self.now.timestamp() * 1000))
        return uuid7(self._last)


class Stopwatch(Protocol):
    """Simulated seconds, or real ones."""

    def monotonic(self) -> float: ...


class CountingMeta(httpx.BaseTransport):
    """Accepts what is within the limits as the simulator counts them, and counts what is over."""

    def __init__(self, clock: Stopwatch, *, per_second: int = 80) -> None:
        self.clock = clock
        self.over: Counter[str] = Counter()
        self.taken: dict[str, list[float]] = defaultdict(list)
        self._per_second = per_second
        self._limits = Limits()
        self._counting = Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one POST of a message."""
        body = json.loads(request.read())
        number = request.url.path.split("/")[-2]
        with self._counting:
            now = self.clock.monotonic()
            self.taken[number].append(now)
            if not self._limits.take_throughput(number, per_second=self._per_second, now=now):
                self.over["throughput"] += 1
            if not self._limits.take_pair(number, body["to"], burst=45, now=now):
                self.over["pair"] += 1
        key = body["biz_opaque_callback_data"]
        return httpx.Response(
            200,
            json={
                "messaging_product": "whatsapp",
                "contacts": [{"input": body["to"], "wa_id": body["to"][1:]}],
                "messages": [{"id": f"wamid.{key}"}],
            },
        )

    def receives(self, number: str) -> None:
        """A message of a person to the number: Meta counts in and out together."""
        self._limits.take_throughput(
            number, per_second=self._per_second, now=self.clock.monotonic()
        )


def people(place: Place, count: int, *, window: bool = True, first: int = 0) -> list[str]:
    """Make people in one statement, the numbers of `first` and following; return their phones."""
    first += 4915200000000 + place.tenant_id.int % 10**6 * 10**5
    end = "clock_timestamp() + interval '1 day'" if window else "null::timestamptz"
    place.everything.execute(
        f"""
        with made as (
            insert into messaging.contacts (tenant_id, id, phone_number)
            select %(t)s, gen_random_uuid(), '+' || (%(f)s + n)
            from generate_series(0, %(c)s - 1) as n returning id, phone_number
        ), named as (
            insert into messaging.contact_identifiers (tenant_id, kind, value, contact_id)
            select %(t)s, 'phone', substr(phone_number, 2), id from made
        )
        insert into messaging.whatsapp_conversations
            (tenant_id, id, account_id, contact_id, window_expires_at)
        select %(t)s, gen_random_uuid(), %(a)s, id, {end} from made
        """,
        {"t": place.tenant_id, "f": first, "c": count, "a": place.account_id},
    )
    # As autovacuum does with tables that have grown.
    place.everything.execute(
        "analyze messaging.contacts, messaging.contact_identifiers,"
        " messaging.whatsapp_conversations"
    )
    return [str(first + n) for n in range(count)]


def put(
    tools: Tools, place: Place, phones: Sequence[str], *, origin: Origin = Origin.CAMPAIGN
) -> list[UUID]:
    """Put a message to each of `phones` into the outbox, due at once."""
    ids: list[UUID] = []
    for start in range(0, len(phones), 500):
        items = [
            Outgoing(
                phone_number_id=place.phone_number_id,
                phone=phone,
                message={"type": "text", "text": {"body": "x"}},
                origin=origin,
            )
            for phone in phones[start : start + 500]
        ]
        with tools.db.transaction(place.tenant_id, statement_timeout_ms=30_000) as connection:
            answers = outbox.queue(tools, connection, place.tenant_id, items)
        assert {answer.status for answer in answers} == {202}, answers[0]
        ids += [UUID(answer.body["id"]) for answer in answers]
    return ids


def work(tools: Tools, *, seconds: float) -> None:
    """Let one worker run for simulated seconds: ticked once a minute, nudged when time is up."""
    end = tools.clock.monotonic() + seconds
    while tools.clock.monotonic() < end:
        began = tools.clock.monotonic()
        # A function has a minute, and starts no request at its end.
        summary = drain(tools, min(began + 60, end + SENDING_S), kinds=NoJobs())
        left = min(end, began + 60) - tools.clock.monotonic()
        if summary.stopped == "idle" and left > 0:
            tools.clock.sleep(left)


def busiest(times: Sequence[float], window: float) -> int:
    """Return the most events in any `window` seconds."""
    recent: deque[float] = deque()
    most = 0
    for time in sorted(times):
        recent.append(time)
        while recent[0] <= time - window:
            recent.popleft()
        most = max(most, len(recent))
    return most


@contextmanager
def quiet() -> Iterator[None]:
    """Thousands of lines say nothing."""
    from switchboard.kernel.log import log

    log.set_level("CRITICAL")
    try:
        yield
    finally:
        log.set_level("INFO")
