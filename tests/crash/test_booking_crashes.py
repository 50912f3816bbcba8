"""Workers and callers that die after the limits were booked: that is spent, and nothing more.

Never more goes out than Meta's limits allow, nothing goes out twice, and nothing stays stuck.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial

import httpx
import pytest

from switchboard import outbox
from switchboard.outbox import Outgoing
from tests.crash.processes import Boundaries, Crash, in_turn, watched
from tests.databases import ClonedDatabase
from tests.limited import CountingMeta, Simulated, people, quiet
from tests.sending import Place, World

_DAY_S = 24 * 3600
_FINAL = {"accepted", "undetermined"}


class Phones(CountingMeta):
    """Remembers to whom what went, and when."""

    def __init__(self, clock: Simulated, *, per_second: int = 80) -> None:
        super().__init__(clock, per_second=per_second)
        self.simulated = clock
        self.messages: list[tuple[float, str, str]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.read())
        words = json.dumps(body[body["type"]])
        self.messages.append((self.clock.monotonic(), body["to"], words))
        return super().handle_request(request)


@pytest.fixture
def world(database: ClonedDatabase) -> Iterator[World]:
    with closing(World(database)) as world, quiet(), in_turn():
        yield world


def let_them_die(
    world: World,
    place: Place,
    meta: Phones,
    items: Sequence[Outgoing],
    *,
    pauses: Sequence[float],
    seed: int,
    life: int = 60,
) -> list[dict[str, object]]:
    """Send `items`, half by callers and half queued, with processes that die at random boundaries.

    A worker dies after `life` boundaries at most; then one of `pauses` passes. Returns the messages
    when all is settled.
    """
    chance = random.Random(seed)
    clock = meta.simulated
    tools = world.tools(clock, transport=meta)  # type: ignore[arg-type]

    def mortal(run: Callable[[], object], most: int) -> None:
        def die() -> None:
            raise Crash

        with watched(Boundaries(chance.randint(1, most), die), tools):
            run()
        clock.turn(chance.choice(pauses))

    half = len(items) // 2
    with tools.db.transaction(place.tenant_id) as connection:
        outbox.queue(tools, connection, place.tenant_id, items[:half])
    for start in range(half, len(items), 10):
        batch = items[start : start + 10]
        mortal(partial(outbox.send_many, tools, place.tenant_id, batch), 40)
    for turn in range(2000):
        mortal(lambda: outbox.run_due(tools, clock.monotonic() + 60), life)
        if turn % 5 == 0:
            outbox.sweep(tools)
        if not place.rows("send_attempts"):
            break
    messages = place.rows("whatsapp_messages", direction="outbound")
    assert place.rows("send_attempts") == [], "stuck"
    assert {row["status"] for row in messages} <= _FINAL
    twice = Counter((to, words) for _, to, words in meta.messages)
    assert max(twice.values()) == 1, "two on a phone"
    accepted = sum(row["status"] == "accepted" for row in messages)
    assert accepted <= len(meta.messages) <= len(messages)
    return messages


def text(place: Place, phone: str, number: int) -> Outgoing:
    return Outgoing(
        phone_number_id=place.phone_number_id,
        phone=phone,
        message={"type": "text", "text": {"body": str(number)}},
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_number_never_sends_more_than_its_rate(world: World, seed: int) -> None:
    place = world.place()
    place.set_number(is_coexistence=True)
    meta = Phones(Simulated(), per_second=20)
    phones = people(place, 60)
    items = [text(place, phones[n % 60], n) for n in range(120)]
    let_them_die(world, place, meta, items, pauses=(0.05, 0.2, 1.0, 20.0), seed=seed)
    assert meta.over == {}


@pytest.mark.parametrize("seed", range(2))
def test_a_person_never_gets_more_than_the_pair_allows(world: World, seed: int) -> None:
    place = world.place()
    meta = Phones(Simulated())
    (phone,) = people(place, 1)
    items = [text(place, phone, n) for n in range(80)]
    let_them_die(world, place, meta, items, pauses=(0.2, 1.0, 5.0), seed=seed, life=400)
    assert meta.over == {}


@pytest.mark.parametrize("seed", range(2))
def test_a_portfolio_never_reaches_more_people_than_a_day_allows(world: World, seed: int) -> None:
    place = world.place()
    world.everything.execute(
        "update messaging.whatsapp_business_accounts set limits = jsonb_build_object("
        "'max_daily_conversations_per_business', '5') where tenant_id = %s",
        (place.tenant_id,),
    )
    meta = Phones(Simulated())
    items = [
        Outgoing(
            phone_number_id=place.phone_number_id,
            phone=phone,
            message={"type": "template", "template": {"name": "n", "language": {"code": "en"}}},
            category="utility",
        )
        for phone in people(place, 16, window=False)
    ]
    let_them_die(world, place, meta, items, pauses=(1.0, 40.0, 3600.0), seed=seed)
    for at, _, _ in meta.messages:
        reached = {to for other, to, _ in meta.messages if at <= other < at + _DAY_S}
        assert len(reached) <= 5
