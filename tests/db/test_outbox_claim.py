"""Which attempts a worker gets: due ones, replies first, tenants in turn, one per lane in order."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from uuid import UUID

import httpx
import psycopg
import pytest

from switchboard import outbox
from switchboard.outbox import Origin, Outgoing
from switchboard.store import outbox as store
from switchboard.tools import Tools
from tests.crash.meta import Meta
from tests.databases import ClonedDatabase
from tests.sending import Person, Place, Time, World, deliver, status_body


@pytest.fixture
def world(database: ClonedDatabase) -> Iterator[World]:
    with closing(World(database)) as world:
        yield world


@pytest.fixture
def place(world: World) -> Place:
    return world.place()


def queue(
    world: World, place: Place, *people: Person, origin: Origin = Origin.CHATBOT, **how: object
) -> list[UUID]:
    """Store a message to each person as a job's effect does; return their ids."""
    tools = world.tools(place.time.clock())
    items = [
        Outgoing(
            phone_number_id=place.phone_number_id,
            phone=person.phone,
            message={"type": "text", "text": {"body": str(number)}},
            origin=origin,
            **how,  # type: ignore[arg-type]
        )
        for number, person in enumerate(people)
    ]
    with tools.db.transaction(place.tenant_id) as connection:
        answers = outbox.queue(tools, connection, place.tenant_id, items)
    tools.db.drop()
    return [UUID(answer.body["id"]) for answer in answers]


def claim(tools: Tools, limit: int = 100) -> dict[UUID, list[UUID]]:
    return store.claim(tools.db.connection(), uuid.uuid4(), limit, lease_s=30, now=tools.clock.now)


def test_a_claim_leases_what_is_due_and_only_once(world: World, place: Place) -> None:
    ids = queue(world, place, *(place.person() for _ in range(3)))
    tools = world.tools(place.time.clock())
    assert sorted(claim(tools)[place.tenant_id]) == sorted(ids)
    assert claim(tools) == {}


def test_a_lease_that_ends_without_intent_is_claimed_again(world: World, place: Place) -> None:
    ids = queue(world, place, place.person())
    assert claim(world.tools(place.time.clock()))
    place.time.turn(seconds=31)
    later = world.tools(place.time.clock())
    assert claim(later) == {}
    outbox.sweep(later)
    assert claim(later) == {place.tenant_id: ids}
    assert place.message(ids[0])["status"] == "pending"


def test_one_lane_goes_out_one_at_a_time_in_order(world: World, place: Place) -> None:
    person = place.person()
    ids = queue(world, place, *[person] * 4)
    meta = Meta()
    tools = world.tools(place.time.clock(), transport=meta)
    assert claim(tools) == {place.tenant_id: [ids[0]]}
    assert claim(tools) == {}
    place.time.turn(minutes=1)
    later = world.tools(place.time.clock(), transport=meta)
    outbox.sweep(later)
    assert outbox.run_due(later, later.clock.monotonic() + 60) == {"accepted": 4}
    assert [body["text"]["body"] for body in meta.asked] == ["0", "1", "2", "3"]


def test_a_reply_passes_waiting_bulk_of_its_lane(world: World, place: Place) -> None:
    person = place.person()
    bulk = queue(world, place, person, origin=Origin.CAMPAIGN)
    reply = queue(world, place, person)
    tools = world.tools(place.time.clock())
    assert claim(tools) == {place.tenant_id: reply}
    assert bulk != reply


def test_replies_go_before_automations_before_bulk(world: World, place: Place) -> None:
    bulk = queue(world, place, place.person(), origin=Origin.CAMPAIGN)
    automation = queue(world, place, place.person(), origin=Origin.AUTOMATION)
    reply = queue(world, place, place.person())
    tools = world.tools(place.time.clock())
    got = [claim(tools, 1)[place.tenant_id] for _ in range(3)]
    assert got == [reply, automation, bulk]


def test_tenants_take_turns(world: World) -> None:
    big, small = world.place(), world.place()
    queue(world, big, *(big.person() for _ in range(20)))
    queue(world, small, *(small.person() for _ in range(2)))
    claimed = claim(world.tools(small.time.clock()), 4)
    assert {tenant: len(ids) for tenant, ids in claimed.items()} == {
        big.tenant_id: 2,
        small.tenant_id: 2,
    }


@pytest.mark.parametrize(
    "stop",
    [
        "update messaging.tenants set sends_stopped_at = now() where id = %(tenant)s",
        "update messaging.tenants set is_active = false where id = %(tenant)s",
        "update messaging.whatsapp_accounts set sends_stopped_at = now() where id = %(account)s",
        "update messaging.whatsapp_accounts set is_active = false where id = %(account)s",
        "update messaging.whatsapp_business_accounts set is_active = %(tenant)s is null",
    ],
)
def test_nothing_is_claimed_of_what_is_stopped(world: World, place: Place, stop: str) -> None:
    queue(world, place, place.person())
    world.everything.execute(
        stop.encode(), {"tenant": place.tenant_id, "account": place.account_id}
    )
    assert claim(world.tools(place.time.clock())) == {}


def test_what_is_due_later_waits(world: World, place: Place) -> None:
    (message_id,) = queue(world, place, place.person())
    world.everything.execute(
        "update messaging.send_attempts set due_at = due_at + interval '1 minute'"
    )
    assert claim(world.tools(place.time.clock())) == {}
    place.time.turn(minutes=1)
    assert claim(world.tools(place.time.clock())) == {place.tenant_id: [message_id]}


def test_workers_at_once_never_share_an_attempt_or_a_lane(world: World) -> None:
    places = [world.place() for _ in range(3)]
    expected = []
    for place in places:
        people = [place.person() for _ in range(10)]
        expected += queue(world, place, *(person for person in people for _ in range(3)))
    workers = [world.tools(places[-1].time.clock()) for _ in range(6)]

    def work(tools: Tools) -> list[UUID]:
        got: list[UUID] = []
        for _ in range(20):
            try:
                for ids in claim(tools, 5).values():
                    got += ids
            except psycopg.errors.SerializationFailure:
                continue
        return got

    with ThreadPoolExecutor(len(workers)) as pool:
        claimed = [message_id for got in pool.map(work, workers) for message_id in got]
    assert len(claimed) == len(set(claimed)) == 30
    lanes = world.everything.execute(
        "select count(*), count(distinct lane) from messaging.send_attempts"
        " where lease_token is not null"
    ).fetchone()
    assert lanes == (30, 30)
    assert set(claimed) <= set(expected)


def test_a_slice_of_two_tenants_settles_each_for_itself(world: World) -> None:
    places = [world.place(), world.place()]
    for place in places:
        queue(world, place, *(place.person() for _ in range(40)))
    meta = Meta()
    tools = world.tools(places[-1].time.clock(), transport=meta)
    assert outbox.run_due(tools, tools.clock.monotonic() + 60) == {"accepted": 80}
    assert len(meta.taken) == 80
    for place in places:
        assert {row["status"] for row in place.rows("whatsapp_messages")} == {"accepted"}
        assert len(place.rows("delivery_logs")) == 40
        assert len(place.rows("message_keys")) == 40
        assert place.rows("send_attempts") == []


def test_without_time_for_a_request_nothing_is_begun(world: World, place: Place) -> None:
    queue(world, place, place.person())
    meta = Meta()
    tools = world.tools(place.time.clock(), transport=meta)
    assert not outbox.run_due(tools, tools.clock.monotonic() + 10)
    assert meta.asked == []
    assert place.rows("send_attempts")[0]["lease_token"] is None


def test_the_verdict_is_asked_again_at_each_attempt(world: World, place: Place) -> None:
    person = place.person(window=1)
    (message_id,) = queue(world, place, person)
    place.time.turn(hours=2)
    meta = Meta()
    tools = world.tools(place.time.clock(), transport=meta)
    assert outbox.run_due(tools, tools.clock.monotonic() + 60) == {"denied": 1}
    row = place.message(message_id)
    assert (row["status"], row["error_code"]) == ("denied", "window_closed")
    assert [entry["verdict"] for entry in row["decision"]] == ["allowed", "denied"]
    assert place.rows("send_attempts") == []
    assert meta.asked == []


def test_a_throttled_number_rests_as_a_whole(world: World, place: Place) -> None:
    from tests.crash.meta import Fault
    from tests.crash.processes import in_turn

    class Throttling(Meta):
        """Throttles the first message that was queued, whichever thread is the quickest."""

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if json.loads(request.read())["text"]["body"] == "0":
                return Meta(Fault.THROTTLED).handle_request(request)
            return super().handle_request(request)

    # As many as the number's bucket lets a worker claim at once.
    queue(world, place, *(place.person() for _ in range(40)))
    meta = Throttling()
    tools = world.tools(place.time.clock(), transport=meta)
    with in_turn():
        outbox.run_due(tools, tools.clock.monotonic() + 60)
    # What was on the wire with it goes through, what waited behind it rests.
    assert len(meta.asked) == 15
    waiting = place.rows("send_attempts")
    assert len(waiting) == 25
    assert len([row for row in waiting if row["due_at"] > place.time.now]) == 17
    # The others have not been claimed, nor are they before the bucket fills.
    assert claim(tools) == {}


def test_many_tries_that_sent_nothing_end_as_failed(world: World, place: Place) -> None:
    (message_id,) = queue(world, place, place.person())

    class Down(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("refused")

    for _ in range(8):
        tools = world.tools(place.time.clock(), transport=Down())
        outbox.run_due(tools, tools.clock.monotonic() + 60)
        place.time.turn(minutes=20)
    row = place.message(message_id)
    assert (row["status"], row["error_code"]) == ("failed", "not_sent")
    assert place.rows("send_attempts") == []
    (log,) = place.rows("delivery_logs")
    assert log["status"] == "failed"


def test_the_watermark_holds_a_resend_back(world: World) -> None:
    """Without a status of a later message nobody knows whether webhooks arrive at all."""
    from tests.crash.meta import Fault

    time = Time()
    place = Place(world.everything, time)
    place.set_number(resend_once=True)
    (message_id,) = queue(world, place, place.person())
    meta = Meta(Fault.TIMEOUT_BEFORE)
    tools = world.tools(time.clock(), transport=meta)
    outbox.run_due(tools, tools.clock.monotonic() + 60)
    time.turn(minutes=16)
    later = world.tools(time.clock(), transport=meta)
    assert outbox.sweep(later) == {"undetermined": 1}
    assert len(meta.asked) == 1
    assert place.message(message_id)["status"] == "undetermined"


@pytest.mark.parametrize(("category", "minutes"), [("authentication", 1), ("utility", 16)])
def test_the_settle_time_depends_on_the_kind(
    world: World, place: Place, category: str, minutes: int
) -> None:
    from tests.crash.meta import Fault

    template = {"type": "template", "template": {"name": "a", "language": {"code": "en"}}}
    tools = world.tools(place.time.clock(), transport=Meta(Fault.TIMEOUT_BEFORE))
    answer = outbox.send(
        tools,
        place.tenant_id,
        Outgoing(
            phone_number_id=place.phone_number_id,
            phone="34600000001",
            message=template,
            category=category,
        ),
    )
    assert answer.status == 202
    place.time.turn(minutes=minutes)
    assert outbox.sweep(world.tools(place.time.clock())) == {"undetermined": 1}


def test_the_app_role_sees_no_attempt_without_its_tenant(world: World, place: Place) -> None:
    queue(world, place, place.person())
    tools = world.tools(place.time.clock())
    connection = tools.db.connection()
    for table in ("send_attempts", "idempotency_keys"):
        row = connection.execute(f"select count(*) from messaging.{table}".encode()).fetchone()
        assert row == (0,)
    with pytest.raises(psycopg.Error), tools.db.transaction(uuid.uuid4()) as other:
        other.execute(
            "insert into messaging.idempotency_keys (tenant_id, key, request_sha256, message_id,"
            " lease_until, expires_at) values (%s, 'k', %s, %s, %s, %s)",
            (place.tenant_id, b"\0" * 32, uuid.uuid4(), datetime.now(), datetime.now()),  # noqa: DTZ005
        )


def leave_in_doubt(world: World, place: Place, count: int) -> list[UUID]:
    """Send `count` messages whose outcome nobody knows; return their ids."""

    class Silent(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.ReadTimeout("no answer")

    ids = queue(world, place, *(place.person() for _ in range(count)))
    tools = world.tools(place.time.clock(), transport=Silent())
    outbox.run_due(tools, tools.clock.monotonic() + 60)
    assert {place.message(id_)["status"] for id_ in ids} == {"unconfirmed"}
    return ids


def test_a_sweep_moves_all_that_can_move_however_many_are_not_due(
    world: World, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("switchboard.outbox.due.SWEEP", 2)
    # Older and not due: whoever takes the first two by id never comes to the others.
    waiting = leave_in_doubt(world, place, 5)
    told, late = leave_in_doubt(world, place, 2)
    lost = queue(world, place, place.person(), place.person(), place.person())
    end = place.time.now + timedelta(hours=1)
    (expired,) = queue(world, place, place.person(), expires_at=end)
    rows = world.everything
    rows.execute(
        "update messaging.send_attempts set expires_at = %s where message_id = %s",
        (place.time.now, expired),
    )
    rows.execute(
        "update messaging.send_attempts set phase = 'sending', lease_token = gen_random_uuid(),"
        " lease_until = %s, intent_at = due_at where message_id = any (%s)",
        (place.time.now, lost),
    )
    rows.execute(
        "update messaging.whatsapp_messages set status = 'sending', status_rank = 20"
        " where id = any (%s)",
        (lost,),
    )
    rows.execute(
        "update messaging.whatsapp_messages set status = 'delivered', status_rank = 70,"
        " wa_message_id = 'wamid.told' where id = %s",
        (told,),
    )
    rows.execute(
        "update messaging.whatsapp_messages set wa_message_id = 'wamid.late' where id = %s", (late,)
    )

    swept = outbox.sweep(world.tools(place.time.clock()))

    assert swept == {"unconfirmed": 3, "delivered": 1, "accepted": 1, "expired": 1}
    assert place.message(expired)["error_code"] == "expired"
    assert place.message(lost[0])["error_code"] == "no_answer"
    kept = place.message(late)
    assert (kept["error_code"], kept["error_message"], kept["errors"]) == (None, None, None)
    left = {row["message_id"] for row in place.rows("send_attempts")}
    assert left == {*waiting, *lost}
    place.time.turn(minutes=20)
    sweeper = world.tools(place.time.clock())
    assert outbox.sweep(sweeper, sweeper.clock.monotonic()) == {}, "its time is over"
    assert outbox.sweep(sweeper) == {"undetermined": 8}
    assert place.message(waiting[0])["error_code"] == "unconfirmed"


def test_what_a_crash_left_in_doubt_loses_its_reason_when_a_status_comes(
    world: World, place: Place
) -> None:
    (message_id,) = leave_in_doubt(world, place, 1)
    place.time.turn(minutes=20)
    tools = world.tools(place.time.clock())
    assert outbox.sweep(tools) == {"undetermined": 1}
    assert place.message(message_id)["error_code"] == "unconfirmed"

    deliver(tools, status_body(place, "wamid.1", f"{message_id}.1", ("sent", place.time.now)))

    row = place.message(message_id)
    assert (row["status"], row["error_code"], row["errors"]) == ("sent", None, None)
