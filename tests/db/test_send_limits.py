"""Meta's limits: what goes out stays within them as Meta counts, and uses what they allow."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from switchboard import outbox
from switchboard.kernel.clock import Clock, uuid7
from switchboard.outbox import Outgoing
from switchboard.store import outbox as store
from switchboard.tools import Tools
from switchboard.worker import drain
from tests.databases import ClonedDatabase
from tests.limited import CountingMeta, NoJobs, Simulated, busiest, people, put, quiet, work
from tests.sending import Place, World, connect, poll


@pytest.fixture
def world(database: ClonedDatabase) -> Iterator[World]:
    with closing(World(database)) as world, quiet():
        yield world


@pytest.fixture
def clock() -> Simulated:
    return Simulated()


def made(world: World, clock: Simulated, meta: CountingMeta) -> Tools:
    """Return the tools of a process in simulated time."""
    return world.tools(clock, transport=meta)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------- the number


@pytest.mark.parametrize(
    ("level", "coexistence", "rate"),
    [("STANDARD", False, 80), ("STANDARD", True, 20), ("HIGH", False, 1000)],
)
def test_a_number_sends_at_its_rate_and_never_above(
    world: World, clock: Simulated, level: str, coexistence: bool, rate: int
) -> None:
    place = world.place()
    place.set_number(throughput=level, is_coexistence=coexistence)
    meta = CountingMeta(clock, per_second=rate)
    tools = made(world, clock, meta)
    total = 8 * rate if rate < 1000 else 2000
    put(tools, place, people(place, total))
    began = clock.monotonic()
    work(tools, seconds=total / rate * 1.04)
    times = meta.taken[place.phone_number_id]
    assert meta.over == {}
    assert len(times) >= 0.95 * total
    assert max(times) - began >= total * 0.95 / rate - 1
    assert busiest(times, 1.0) <= 1.5 * rate + 1


def test_two_workers_together_stay_within_the_rate(world: World, clock: Simulated) -> None:
    place = world.place()
    meta = CountingMeta(clock)
    one, two = made(world, clock, meta), made(world, clock, meta)
    put(one, place, people(place, 800))
    began = clock.monotonic()
    while clock.monotonic() < began + 10.5:
        # In turns at the same moment: whoever comes second finds what the first has left.
        for tools in (one, two):
            outbox.run_due(tools, clock.monotonic() + 60)
        clock.turn(0.1)
    assert meta.over == {}
    assert len(meta.taken[place.phone_number_id]) >= 0.95 * 800


def test_what_people_write_takes_from_the_same_bucket(world: World, clock: Simulated) -> None:
    place = world.place()
    meta = CountingMeta(clock)
    tools = made(world, clock, meta)
    phones = people(place, 1200)
    (conversation,) = (
        row["id"] for row in place.rows("whatsapp_conversations", account_id=place.account_id)[:1]
    )
    put(tools, place, phones)
    for _ in range(100):
        for _ in range(4):
            place.everything.execute(
                "insert into messaging.whatsapp_messages (tenant_id, id, account_id,"
                " conversation_id, direction, origin, message_type, content, status, status_rank,"
                " occurred_at) values (%s, %s, %s, %s, 'inbound', 'person', 'text', '{}',"
                " 'received', messaging.status_rank('received'), %s)",
                (
                    place.tenant_id,
                    uuid7(int(clock.now.timestamp() * 1000)),
                    place.account_id,
                    conversation,
                    clock.now,
                ),
            )
            meta.receives(place.phone_number_id)
        outbox.run_due(tools, clock.monotonic() + 60)
        clock.turn(0.1)
    assert meta.over == {}
    # Ten seconds at 80, of which people took 40 a second.
    assert 350 <= len(meta.taken[place.phone_number_id]) <= 450


def test_replies_go_ahead_of_bulk(world: World, clock: Simulated) -> None:
    place = world.place()
    meta = CountingMeta(clock)
    tools = made(world, clock, meta)
    phones = people(place, 600)
    put(tools, place, phones[:500])
    waits = []
    for number, phone in enumerate(phones[500:540]):
        outbox.run_due(tools, clock.monotonic() + 60)
        asked = clock.monotonic()
        answer = outbox.send(tools, place.tenant_id, reply(place, phone))
        assert answer.status == 200, (number, answer.body)
        waits.append(clock.monotonic() - asked)
        clock.turn(0.1)
    assert max(waits) <= 0.1
    assert meta.over == {}


def reply(place: Place, phone: str, **how: Any) -> Outgoing:
    return Outgoing(
        phone_number_id=place.phone_number_id,
        phone=phone,
        message={"type": "text", "text": {"body": "x"}},
        **how,
    )


def test_a_number_that_is_full_defers_and_says_so(world: World, clock: Simulated) -> None:
    place = world.place()
    tools = made(world, clock, CountingMeta(clock))
    phones = people(place, 60)
    answers = outbox.send_many(tools, place.tenant_id, [reply(place, p) for p in phones[:40]])
    assert {answer.status for answer in answers} == {200}
    rehearsed = outbox.rehearse(tools, place.tenant_id, reply(place, phones[41]))
    assert rehearsed.body["status"] == "deferred"
    decision = rehearsed.body["decision"]
    assert (decision["reason"], decision["gates"]["throughput"]) == (
        "throughput_limit",
        "throughput_limit",
    )
    answer = outbox.send(tools, place.tenant_id, reply(place, phones[41]))
    assert (answer.status, answer.body["status"]) == (202, "pending")
    assert answer.body["decision"]["reason"] == "throughput_limit"
    wait = outbox.next_in(tools)
    assert wait is not None
    assert 0 < wait <= 0.1
    clock.turn(wait)
    assert outbox.run_due(tools, clock.monotonic() + 60) == {"accepted": 1}


def test_a_number_that_meta_throttles_learns_a_lower_rate_for_an_hour(
    world: World, clock: Simulated
) -> None:
    place = world.place()
    meta = CountingMeta(clock)
    tools = made(world, clock, meta)
    put(tools, place, people(place, 1200))
    with tools.db.transaction(place.tenant_id) as connection:
        for _ in range(5):
            connection.execute(
                "select messaging.throttle_number(%s, %s, %s)",
                (place.tenant_id, place.account_id, clock.now),
            )
    (row,) = place.rows("send_limits")
    assert row["learned_rate"] == pytest.approx(64)
    assert outbox.run_due(tools, clock.monotonic() + 60) == {}
    work(tools, seconds=10)
    assert 0.9 * 640 <= len(meta.taken[place.phone_number_id]) <= 640 + 32
    clock.turn(3600)
    before = len(meta.taken[place.phone_number_id])
    work(tools, seconds=5)
    assert len(meta.taken[place.phone_number_id]) - before >= 0.95 * 400


# ------------------------------------------------------------------------------- the pair


def test_one_person_gets_a_burst_and_then_one_in_six_seconds(
    world: World, clock: Simulated
) -> None:
    place = world.place()
    meta = CountingMeta(clock)
    tools = made(world, clock, meta)
    (phone,) = people(place, 1)
    put(tools, place, [phone] * 70)
    began = clock.monotonic()
    work(tools, seconds=600)
    times = [time - began for time in meta.taken[place.phone_number_id]]
    assert meta.over == {}
    assert len(times) == 70
    assert sum(time < 2 for time in times) == 44
    # Meta would allow the last of 70 after 150 s.
    assert max(times) <= 160
    assert place.rows("send_attempts") == []


def test_a_batch_to_one_person_is_held_with_its_reason_and_keeps_its_order(
    world: World, clock: Simulated
) -> None:
    place = world.place()
    meta = CountingMeta(clock)
    tools = made(world, clock, meta)
    (phone,) = people(place, 1)
    answers = outbox.send_many(tools, place.tenant_id, [reply(place, phone)] * 50)
    assert [answer.status for answer in answers].count(200) == 44
    held = place.message(answers[44].body["id"])
    assert held["status"] == "pending"
    assert held["decision"][-1]["reason"] == "pair_limit"
    (waiting,) = place.rows("send_attempts", held_by="pair")
    assert waiting["due_at"] > clock.now
    told = outbox.rehearse(tools, place.tenant_id, reply(place, phone)).body
    assert (told["status"], told["decision"]["reason"]) == ("deferred", "pair_limit")
    # The next ones of the lane wait behind it, though nothing holds them.
    assert outbox.run_due(tools, clock.monotonic() + 60) == {}
    work(tools, seconds=90)
    sent = sorted(place.rows("whatsapp_messages"), key=lambda row: row["accepted_at"])
    assert [row["id"] for row in sent] == [UUID(answer.body["id"]) for answer in answers]


def test_other_people_are_not_held_up_by_one(world: World, clock: Simulated) -> None:
    place = world.place()
    meta = CountingMeta(clock)
    tools = made(world, clock, meta)
    first, *others = people(place, 41)
    put(tools, place, [first] * 60)
    work(tools, seconds=5)
    put(tools, place, others)
    work(tools, seconds=2)
    # And one that six seconds have refilled.
    assert 44 + 40 <= len(meta.taken[place.phone_number_id]) <= 44 + 40 + 1


# ------------------------------------------------------------------------------- the portfolio


def template(place: Place, phone: str) -> Outgoing:
    """Return a notice to somebody whose window is closed."""
    return Outgoing(
        phone_number_id=place.phone_number_id,
        phone=phone,
        message={"type": "template", "template": {"name": "n", "language": {"code": "en"}}},
        category="utility",
    )


def limit_people(place: Place, limit: object) -> None:
    place.everything.execute(
        "update messaging.whatsapp_business_accounts set limits = jsonb_build_object("
        "'max_daily_conversations_per_business', to_jsonb(%s::text)), portfolio_id = 'P'"
        " where tenant_id = %s",
        (str(limit), place.tenant_id),
    )


def test_no_more_new_people_in_a_day_than_meta_allows(world: World, clock: Simulated) -> None:
    place = world.place()
    limit_people(place, 30)
    meta = CountingMeta(clock)
    tools = made(world, clock, meta)
    phones = people(place, 50, window=False)
    answers = outbox.send_many(tools, place.tenant_id, [template(place, p) for p in phones[:40]])
    assert [answer.status for answer in answers].count(200) == 30
    held = [answer for answer in answers if answer.status == 202]
    assert {answer.body["decision"]["reason"] for answer in held} == {"portfolio_limit"}
    # Who was counted costs nothing more, and a reply in its window neither.
    assert outbox.send(tools, place.tenant_id, template(place, phones[0])).status == 200
    (writer,) = (place.person(),)
    assert outbox.send(tools, place.tenant_id, reply(place, writer.phone)).status == 200
    told = outbox.rehearse(tools, place.tenant_id, template(place, phones[45])).body
    assert (told["status"], told["decision"]["reason"]) == ("deferred", "portfolio_limit")
    clock.turn(timedelta(hours=23, minutes=50).total_seconds())
    work(tools, seconds=60)
    assert len(place.rows("whatsapp_messages", status="pending")) == 10
    clock.turn(timedelta(minutes=20).total_seconds())
    work(tools, seconds=60)
    assert place.rows("whatsapp_messages", status="pending") == []


def test_two_numbers_of_a_portfolio_share_its_people(world: World, clock: Simulated) -> None:
    place = world.place()
    limit_people(place, 10)
    place.everything.execute(
        "insert into messaging.whatsapp_accounts (tenant_id, waba_id, phone_number_id,"
        " phone_number, display_name, access_token_sealed, status)"
        " values (%s, %s, '99', '+4930123456', 'N', 'token', 'connected')",
        (place.tenant_id, place.waba_id),
    )
    tools = made(world, clock, CountingMeta(clock))
    phones = people(place, 12, window=False)
    for n, phone in enumerate(phones):
        item = template(place, phone)
        if n % 2:
            item = Outgoing(
                phone_number_id="99", phone=phone, message=item.message, category="utility"
            )
        answer = outbox.send(tools, place.tenant_id, item)
        assert answer.status == (200 if n < 10 else 202)


@pytest.mark.parametrize(
    ("word", "limit"),
    [
        ("TIER_250", 250),
        ("TIER_2K", 2000),
        ("TIER_100K", 100_000),
        ("TIER_UNLIMITED", None),
        ("TIER_NOT_SET", None),
        ("2000", 2000),
        ("-1", None),
        (None, None),
    ],
)
def test_metas_words_for_the_limit(world: World, word: str | None, limit: int | None) -> None:
    asked = world.everything.execute(
        "select messaging.recipient_limit('{}', %s),"
        " messaging.recipient_limit(jsonb_build_object("
        "'max_daily_conversations_per_business', %s::text), null)",
        (word, word),
    ).fetchone()
    assert asked == (limit, limit)


def test_a_message_begins_a_persons_day_anew(world: World, clock: Simulated) -> None:
    place = world.place()
    limit_people(place, 10)
    tools = made(world, clock, CountingMeta(clock))
    phones = people(place, 20, window=False)

    def told(who: list[str]) -> list[int]:
        items = [template(place, phone) for phone in who]
        return [answer.status for answer in outbox.send_many(tools, place.tenant_id, items)]

    assert told(phones[:10]) == [200] * 10
    clock.turn(timedelta(hours=23).total_seconds())
    assert told(phones[:10]) == [200] * 10
    clock.turn(timedelta(hours=1, minutes=12).total_seconds())
    # Ten people had a message an hour ago: there is no room for others.
    assert told(phones[10:]) == [202] * 10
    (held,) = {row["due_at"] - clock.now for row in place.rows("send_attempts")}
    assert held == timedelta(hours=1)


def test_room_goes_to_the_first_of_a_call(world: World, clock: Simulated) -> None:
    place = world.place()
    limit_people(place, 3)
    tools = made(world, clock, CountingMeta(clock))
    phones = people(place, 8, window=False)
    items = [template(place, phone) for phone in phones]
    answers = outbox.send_many(tools, place.tenant_id, items)
    assert [answer.status for answer in answers] == [200] * 3 + [202] * 5


def test_what_the_portfolio_holds_back_holds_up_no_reply(world: World, clock: Simulated) -> None:
    place = world.place()
    limit_people(place, 1)
    tools = made(world, clock, CountingMeta(clock))
    one, other = people(place, 2, window=False)
    assert outbox.send(tools, place.tenant_id, template(place, one)).status == 200
    # Two at once: each alone sees room for nobody, the second is held at the booking.
    place.everything.execute("delete from messaging.portfolio_counts")
    limit_people(place, 0)
    outbox.send_many(tools, place.tenant_id, [template(place, other), template(place, one)])
    place.everything.execute(
        "update messaging.send_attempts set held_by = 'portfolio' where tenant_id = %s",
        (place.tenant_id,),
    )
    place.everything.execute(
        "update messaging.whatsapp_conversations set window_expires_at = %s where tenant_id = %s",
        (clock.now + timedelta(hours=24), place.tenant_id),
    )
    answer = outbox.send(tools, place.tenant_id, reply(place, other))
    assert answer.status == 200, (answer.body, place.rows("send_attempts"))


# ------------------------------------------------------------------------------- the cap


def test_a_batch_cannot_pass_the_cap_of_one_person(world: World, clock: Simulated) -> None:
    place = world.place()
    place.everything.execute(
        "update messaging.tenants set marketing_cap = 2, marketing_cap_hours = 24 where id = %s",
        (place.tenant_id,),
    )
    tools = made(world, clock, CountingMeta(clock))
    one, other = people(place, 2)
    place.everything.execute(
        "update messaging.contacts set opt_in_status = 'opted_in', opted_in_at = now()"
        " where tenant_id = %s",
        (place.tenant_id,),
    )

    def offer(phone: str) -> Outgoing:
        return Outgoing(
            phone_number_id=place.phone_number_id,
            phone=phone,
            message={"type": "template", "template": {"name": "o", "language": {"code": "en"}}},
            category="marketing",
        )

    answers = outbox.send_many(
        tools, place.tenant_id, [offer(one), offer(one), offer(one), offer(other)]
    )
    assert [answer.status for answer in answers] == [200, 200, 422, 200]
    assert answers[2].body["decision"]["reason"] == "frequency_cap"
    assert place.message(answers[2].body["id"])["status"] == "denied"
    assert outbox.send(tools, place.tenant_id, offer(one)).status == 422
    clock.turn(timedelta(hours=24, seconds=1).total_seconds())
    assert outbox.send(tools, place.tenant_id, offer(one)).status == 200


# ------------------------------------------------------------------------------- paused


def test_lifting_a_pause_lets_out_what_it_deferred(world: World, clock: Simulated) -> None:
    place = world.place()
    tools = made(world, clock, CountingMeta(clock))
    phones = people(place, 2)
    place.set_number(sends_paused_until=clock.now + timedelta(hours=24))
    answer = outbox.send(tools, place.tenant_id, reply(place, phones[0]))
    assert answer.status == 202
    assert answer.body["decision"]["until"] is not None
    place.set_number(sends_paused_until=None)
    assert outbox.run_due(tools, clock.monotonic() + 60) == {"accepted": 1}


class Interfering(CountingMeta):
    """Lets something happen while the first request is on the wire."""

    def __init__(self, clock: Simulated, then: Callable[[], object]) -> None:
        super().__init__(clock)
        self._then: Callable[[], object] | None = then
        self._alone = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        with self._alone:
            then, self._then = self._then, None
            if then is not None:
                then()
            return super().handle_request(request)


@pytest.mark.parametrize(
    ("happens", "ends"),
    [
        ("update messaging.whatsapp_accounts set sends_stopped_at = now()", "pending"),
        ("update messaging.tenants set sends_stopped_at = now()", "pending"),
        ("update messaging.contacts set is_blocked = true", "denied"),
        (
            (
                "update messaging.contacts set opt_in_status = 'opted_out',"
                " opted_out_at = now() + interval '1 minute'"
            ),
            "denied",
        ),
    ],
)
def test_what_waits_behind_a_slice_is_not_sent_after_a_stop(
    world: World, clock: Simulated, happens: str, ends: str
) -> None:
    place = world.place()
    everything = connect(world.database)
    meta = Interfering(clock, lambda: everything.execute(happens.encode()))
    tools = made(world, clock, meta)
    place.set_number(throughput="HIGH")
    items = [reply(place, phone) for phone in people(place, 100)]
    answers = outbox.send_many(tools, place.tenant_id, items)
    everything.close()
    sent = sum(answer.status == 200 for answer in answers)
    # Under intent already: a slice.
    assert sent == 32
    assert {answer.status for answer in answers} == {200, 202}
    outbox.run_due(tools, clock.monotonic() + 60)
    assert len(place.rows("whatsapp_messages", status="accepted")) == 32
    assert len(place.rows("whatsapp_messages", status=ends)) == 68


def test_a_lost_database_does_not_send_the_caller_back_with_what_has_gone_out(
    world: World, clock: Simulated
) -> None:
    place = world.place()
    tools = made(world, clock, CountingMeta(clock))
    (phone,) = people(place, 1)
    calls = []

    def lost(*args: Any, **how: Any) -> Any:
        calls.append(1)
        raise psycopg.OperationalError("gone")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "lease", lost)
        first, second = outbox.send_many(tools, place.tenant_id, [reply(place, phone)] * 2)
    assert calls
    assert (first.status, second.status) == (200, 202)


def test_a_replay_of_what_waits_is_told_what_became_of_it(world: World, clock: Simulated) -> None:
    place = world.place()
    tools = made(world, clock, CountingMeta(clock))
    (phone,) = people(place, 1)
    items = [reply(place, phone, key=f"k{n}", sha256=b"x" * 32) for n in range(46)]
    answers = outbox.send_many(tools, place.tenant_id, items)
    assert [answer.status for answer in answers[44:]] == [202, 202]
    again = outbox.send(tools, place.tenant_id, items[44])
    assert (again.status, again.body["id"]) == (202, answers[44].body["id"])


def test_a_template_approved_while_it_was_being_held_is_released_by_the_sweep(
    world: World, clock: Simulated
) -> None:
    place = world.place()
    tools = made(world, clock, CountingMeta(clock))
    (phone,) = people(place, 1, window=False)
    with tools.db.transaction(place.tenant_id) as connection:
        outbox.queue(tools, connection, place.tenant_id, [template(place, phone)])
    place.everything.execute(
        "update messaging.send_attempts set due_at = 'infinity' where tenant_id = %s",
        (place.tenant_id,),
    )
    assert outbox.run_due(tools, clock.monotonic() + 60) == {}
    outbox.sweep(tools)
    assert outbox.run_due(tools, clock.monotonic() + 60) == {"accepted": 1}


def test_what_a_paused_template_holds_back_goes_on_when_it_is_approved(
    world: World, clock: Simulated
) -> None:
    place = world.place()
    tools = made(world, clock, CountingMeta(clock))
    (phone,) = people(place, 1, window=False)

    def state(word: str, at: int) -> None:
        place.everything.execute(
            "insert into messaging.whatsapp_templates as t (tenant_id, waba_id, name, language,"
            " states) values (%s, %s, 'n', 'en', %s) on conflict (tenant_id, waba_id, name,"
            " language) do update set states = excluded.states",
            (
                place.tenant_id,
                place.waba_id,
                json.dumps(
                    {
                        "status": {"at": at, "v": {"status": word}},
                        "category": {"at": 1, "v": "UTILITY"},
                    }
                ),
            ),
        )

    state("PAUSED", 1)
    answer = outbox.send(tools, place.tenant_id, template(place, phone))
    assert (answer.status, answer.body["decision"]["reason"]) == (202, "template_paused")
    clock.turn(3600)
    assert outbox.run_due(tools, clock.monotonic() + 60) == {}
    # Edited, it is looked at again; the sweep leaves it alone.
    state("PENDING", 2)
    outbox.sweep(tools)
    assert outbox.run_due(tools, clock.monotonic() + 60) == {}
    state("APPROVED", 3)
    assert outbox.run_due(tools, clock.monotonic() + 60) == {"accepted": 1}


def test_a_number_that_is_paused_holds_its_messages_back_and_only_its_own(
    world: World, clock: Simulated
) -> None:
    place, other = world.place(), world.place()
    meta = CountingMeta(clock)
    tools = made(world, clock, meta)
    put(tools, place, people(place, 3))
    put(tools, other, people(other, 3))
    place.set_number(
        sends_paused_until=clock.now + timedelta(minutes=5), sends_paused_reason="maintenance"
    )
    assert outbox.run_due(tools, clock.monotonic() + 60) == {"accepted": 3}
    assert set(meta.taken) == {other.phone_number_id}
    told = outbox.rehearse(tools, place.tenant_id, reply(place, place.person().phone)).body
    assert told["decision"]["reason"] == "number_paused"
    assert "maintenance" in told["decision"]["hint"]
    clock.turn(301)
    assert outbox.run_due(tools, clock.monotonic() + 60) == {"accepted": 3}
    place.everything.execute(
        "update messaging.whatsapp_business_accounts set sends_paused_until = 'infinity'"
        " where tenant_id = %s",
        (place.tenant_id,),
    )
    answer = outbox.send(tools, place.tenant_id, reply(place, place.person().phone))
    assert (answer.status, answer.body["decision"].get("until")) == (202, None)
    assert outbox.run_due(tools, clock.monotonic() + 60) == {}


# ------------------------------------------------------------------------------- the full size


@pytest.mark.soak
def test_a_hundred_thousand_sends_use_what_a_number_may_and_no_more(
    world: World, clock: Simulated
) -> None:
    total = 100_000
    place = world.place()
    meta = CountingMeta(clock)
    tools = made(world, clock, meta)
    phones = people(place, total)
    # Mixed pairs: every fiftieth person gets sixty messages, more than a burst.
    often = phones[: total // 3000]
    put(tools, place, phones[: total - 60 * len(often)] + often * 60)
    world.everything.execute("analyze messaging.send_attempts, messaging.whatsapp_messages")
    began = clock.monotonic()
    work(tools, seconds=total / 80 + 400)
    times = sorted(meta.taken[place.phone_number_id])
    used = 0.95 * total / 80 / (times[int(0.95 * total)] - began)
    print(
        f"{len(times)} of {total} sends in {times[-1] - began:.0f} simulated s, over a limit:"
        f" {dict(meta.over)}, used of 80/s: {used:.3f}, most in a second: {busiest(times, 1.0)}"
    )
    assert meta.over == {}
    assert len(times) == total
    assert used >= 0.95


@pytest.mark.soak
def test_a_number_of_a_thousand_a_second_in_real_time(world: World) -> None:
    """Two workers, as fast as the machine can: how much of the rate that is, it prints."""
    total = 15_000
    place = world.place()
    place.set_number(throughput="HIGH")
    clock = Clock()
    meta = CountingMeta(clock, per_second=1000)
    workers = [world.tools(clock, transport=meta) for _ in range(2)]
    put(workers[0], place, people(place, total))
    world.everything.execute("analyze messaging.send_attempts, messaging.whatsapp_messages")
    began = clock.monotonic()
    threads = [
        threading.Thread(target=drain, args=(tools, began + 120), kwargs={"kinds": NoJobs()})
        for tools in workers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times = sorted(meta.taken[place.phone_number_id])
    rate = 0.9 * total / (times[int(0.95 * total)] - times[int(0.05 * total)])
    print(
        f"{len(times)} sends, over a limit: {dict(meta.over)}, {rate:.0f} a second of 1000,"
        f" most in a second: {busiest(times, 1.0)}"
    )
    assert meta.over == {}
    assert len(times) == total
    assert busiest(times, 1.0) <= 1500


class SlowMeta(httpx.BaseTransport):
    """Accepts everything after 50 ms: Meta is not next door."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        key = json.loads(request.read())["biz_opaque_callback_data"]
        time.sleep(0.05)
        return httpx.Response(200, json={"messages": [{"id": f"wamid.{key}"}]})


def waits(world: World, small: Place, big: Place, load: int) -> list[float]:
    """Return the seconds of each of the small tenant's sends beside `load` of the other's."""
    tools = world.tools(transport=SlowMeta())
    worker = world.tools(transport=SlowMeta())
    done = threading.Event()

    def run() -> None:
        while not done.is_set():
            drain(worker, worker.clock.monotonic() + 60, kinds=NoJobs())

    phones = people(small, 60, first=load)
    if load:
        put(tools, big, people(big, load))
    world.everything.execute("analyze")
    thread = threading.Thread(target=run)
    thread.start()
    try:
        ids = []
        for phone in phones:
            ids += put(tools, small, [phone])
            time.sleep(0.05)
        poll(lambda: small.rows("send_attempts") == [], seconds=60)
    finally:
        done.set()
        thread.join()
    rows = [small.message(one) for one in ids]
    return sorted((row["accepted_at"] - row["created_at"]).total_seconds() for row in rows)


@pytest.mark.soak
def test_a_small_tenant_waits_at_most_twice_as_long_beside_a_big_one(world: World) -> None:
    small, big = world.place(), world.place()
    for place in (small, big):
        place.set_number(throughput="HIGH")
    alone = waits(world, small, big, 0)
    beside = waits(world, small, big, 6000)
    (p_alone, p_beside) = (times[int(0.95 * len(times))] for times in (alone, beside))
    sent = len(big.rows("whatsapp_messages", status="accepted"))
    print(
        f"p95 of a small tenant's sends: {p_alone * 1000:.0f} ms alone, {p_beside * 1000:.0f} ms"
        f" beside 100 times its load ({sent} of 6000 sent meanwhile),"
        f" ratio {p_beside / p_alone:.2f}"
    )
    assert p_beside <= 2 * p_alone
    assert sent >= 500
