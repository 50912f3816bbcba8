"""Trouble on the send road hurts what it is about, and nothing else."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from switchboard import outbox
from switchboard.kernel.clock import uuid7
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import ConfigurationError, Unavailable
from switchboard.outbox import Origin, Outgoing, due
from switchboard.outbox.road import Road
from switchboard.outbox.timing import UNDECIDED_S
from switchboard.store import outbox as store
from tests.crash.meta import Fault, Meta
from tests.crash.processes import in_turn
from tests.databases import ClonedDatabase
from tests.db.test_outbox_claim import queue
from tests.sending import Person, Place, PlainSealer, World, poll

CODE = {"type": "template", "template": {"name": "code", "language": {"code": "en"}}}
TEXT = {"type": "text", "text": {"body": "x"}}


@pytest.fixture
def world(database: ClonedDatabase) -> Iterator[World]:
    with closing(World(database)) as world:
        yield world


@pytest.fixture
def place(world: World) -> Place:
    return world.place()


def body_of(request: httpx.Request) -> str:
    return str(json.loads(request.read())["text"]["body"])


def lines(capsys: pytest.CaptureFixture[str], event: str) -> list[dict[str, Any]]:
    """Return what was logged of `event`."""
    printed = map(json.loads, capsys.readouterr().out.splitlines())
    return [line for line in printed if line["message"] == event]


# ------------------------------------------------------------------------------- a STOP meanwhile


@pytest.mark.parametrize(
    ("about", "wrote_again", "ends"),
    [
        ({"message": CODE, "category": "authentication"}, False, "accepted"),
        ({"message": CODE, "category": "utility", "urgent": True}, False, "accepted"),
        ({"message": CODE, "category": "utility"}, False, "denied"),
        ({"message": TEXT}, True, "accepted"),
    ],
)
def test_what_waited_when_somebody_said_stop_ends_as_the_policy_says(
    world: World, about: dict[str, Any], wrote_again: bool, ends: str
) -> None:
    place = world.place()
    person = place.person()
    pause = {"sends_paused_reason": "Meta is being repaired"}
    place.set_number(sends_paused_until=place.time.now + timedelta(minutes=1), **pause)
    asked = Outgoing(
        phone_number_id=place.phone_number_id, phone=person.phone, origin=Origin.API, **about
    )
    answer = outbox.send(world.tools(place.time.clock()), place.tenant_id, asked)
    assert answer.body["status"] == "pending"
    place.time.turn(seconds=10)
    world.everything.execute(
        "update messaging.contacts set opt_in_status = 'opted_out', opted_out_at = %s"
        " where id = %s",
        (place.time.now, person.contact_id),
    )
    place.time.turn(seconds=10)
    if wrote_again:
        world.everything.execute(
            "update messaging.whatsapp_conversations set last_inbound_at = %s where id = %s",
            (place.time.now, person.conversation_id),
        )
    place.time.turn(minutes=2)
    tools = world.tools(place.time.clock(), transport=Meta())
    assert outbox.run_due(tools, tools.clock.monotonic() + 60) == {ends: 1}
    assert place.message(answer.body["id"])["status"] == ends


# ------------------------------------------------------------------------------- a resting number


class Throttling(Meta):
    """Throttles the message "0" once; `order`: the words of all, as they came."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.order.append(body_of(request))
        if self.order.count("0") == 1 and body_of(request) == "0":
            return Meta(Fault.THROTTLED).handle_request(request)
        return super().handle_request(request)


def test_what_rests_with_its_number_keeps_its_place_in_the_conversation(
    world: World, place: Place
) -> None:
    place.set_number(throughput="HIGH")
    people = [place.person() for _ in range(20)]
    ids = queue(world, place, *people)
    meta = Throttling()
    tools = world.tools(place.time.clock(), transport=meta)
    with in_turn():
        outbox.run_due(tools, tools.clock.monotonic() + 60)
    rested = place.message(ids[19])
    assert (rested["status"], "19" in meta.order) == ("pending", False)
    assert {row["held_by"] for row in place.rows("send_attempts", message_id=ids[19])} == {
        "throughput"
    }
    place.time.turn(seconds=0.9)
    caller = world.tools(place.time.clock(), transport=meta)
    second = Outgoing(
        phone_number_id=place.phone_number_id,
        phone=people[19].phone,
        message={"type": "text", "text": {"body": "second"}},
    )
    assert outbox.send(caller, place.tenant_id, second).status == 202
    place.time.turn(seconds=30)
    later = world.tools(place.time.clock(), transport=meta)
    outbox.run_due(later, later.clock.monotonic() + 60)
    assert meta.order.index("19") < meta.order.index("second")


def test_a_number_rests_as_long_as_meta_said_and_no_longer(world: World, place: Place) -> None:
    """The run may go on for others long after."""
    queue(world, place, place.person())
    meta = Meta()
    tools = world.tools(place.time.clock(), transport=meta)
    road = Road(tools, uuid7(), until=tools.clock.monotonic() + 60)
    (ready,) = due._claim(tools, road.token)
    road._resting[ready.account_id] = tools.clock.monotonic()
    road.run([], [ready])
    assert road.results[ready.message_id].status == "accepted"


# ------------------------------------------------------------------------------- one of many


def test_an_attempt_that_cannot_be_decided_waits_alone(world: World, place: Place) -> None:
    other = world.place()
    person = place.person()
    tools = world.tools(place.time.clock())
    with tools.db.transaction(place.tenant_id) as connection:
        (answer,) = outbox.queue(
            tools,
            connection,
            place.tenant_id,
            [
                Outgoing(
                    phone_number_id=place.phone_number_id,
                    phone=person.phone,
                    message=CODE,
                    category="utility",
                    origin=Origin.API,
                )
            ],
        )
    queue(world, other, *(other.person() for _ in range(3)))
    # The table takes it, Python does not.
    world.everything.execute(
        "insert into messaging.notification_preferences (tenant_id, contact_id,"
        " quiet_hours_enabled, quiet_hours_start, quiet_hours_end)"
        " values (%s, %s, true, '22:00', '24:00')",
        (place.tenant_id, person.contact_id),
    )
    worker = world.tools(place.time.clock(), transport=Meta())
    assert outbox.run_due(worker, worker.clock.monotonic() + 60) == {"accepted": 3, "pending": 1}
    (waiting,) = place.rows("send_attempts", message_id=UUID(answer.body["id"]))
    assert waiting["lease_token"] is None
    until = place.time.now + timedelta(seconds=UNDECIDED_S)
    assert waiting["due_at"] == until
    told = place.message(answer.body["id"])["decision"][-1]
    assert (told["verdict"], told["reason"], told["attempt"]) == ("deferred", "undecided", 1)
    assert datetime.fromisoformat(told["until"]) == until.replace(
        microsecond=until.microsecond // 1000 * 1000
    )
    assert "asked again" in told["hint"]


def test_a_thread_that_dies_ends_its_own_request_only(world: World, place: Place) -> None:
    class Die(BaseException):
        """Nothing in the road catches it."""

    class Dying(Meta):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if body_of(request) == "1":
                raise Die
            return super().handle_request(request)

    tools = world.tools(place.time.clock(), transport=Dying())
    items = [
        Outgoing(
            phone_number_id=place.phone_number_id,
            phone=place.person().phone,
            message={"type": "text", "text": {"body": str(n)}},
        )
        for n in range(3)
    ]
    answers = outbox.send_many(tools, place.tenant_id, items)
    assert [answer.body["status"] for answer in answers] == [
        "accepted",
        "unconfirmed",
        "accepted",
    ]


def test_an_account_whose_token_cannot_be_opened_asks_once_and_delays_nobody(
    world: World, place: Place
) -> None:
    """Nothing is under intent while KMS is asked: its answer may take as long as a lease."""
    other = world.place()
    queue(world, place, *(place.person() for _ in range(5)))
    queue(world, other, *(other.person() for _ in range(2)))
    asked: Counter[UUID] = Counter()
    under_intent: list[int] = []

    class Sealer(PlainSealer):
        def unseal(self, sealed: bytes, *, tenant_id: UUID | str, purpose: str) -> str:
            asked[UUID(str(tenant_id))] += 1
            under_intent.append(
                sum(len(one.rows("send_attempts", phase="sending")) for one in (place, other))
            )
            if tenant_id == place.tenant_id:
                raise ConfigurationError("KMS is away")
            return super().unseal(sealed, tenant_id=tenant_id, purpose=purpose)

    tools = world.tools(place.time.clock(), transport=Meta())
    tools.sealer = Sealer()  # type: ignore[assignment]
    outbox.run_due(tools, tools.clock.monotonic() + 60)
    # Twice: what has sent nothing is tried again at once, in a run of its own.
    assert asked == {place.tenant_id: 2, other.tenant_id: 1}
    assert under_intent == [0, 0, 0]
    assert len(other.rows("whatsapp_messages", status="accepted")) == 2


# ------------------------------------------------------------------------------- a gap


def test_what_meta_answered_during_a_gap_of_the_database_is_written_after_it(
    world: World,
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place.set_number(throughput="HIGH")
    ids = queue(world, place, *(place.person() for _ in range(12)))
    away, rest = threading.Event(), threading.Event()
    lost: list[int] = []

    class Parting(Meta):
        """Answers the first six in the gap, the others when it is over."""

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            assert (away if int(body_of(request)) < 6 else rest).wait(30)
            return super().handle_request(request)

    advance = store.advance

    def unsure(connection: Connection, *args: Any, **kwargs: Any) -> Any:
        if away.is_set() and not rest.is_set():
            lost.append(len(json.loads(kwargs["settle"])))
            rest.set()
            raise Unavailable("gone for a moment")
        return advance(connection, *args, **kwargs)

    monkeypatch.setattr(store, "advance", unsure)
    tools = world.tools(place.time.clock(), transport=Parting())
    worker = threading.Thread(target=outbox.run_due, args=(tools, tools.clock.monotonic() + 60))
    worker.start()
    poll(lambda: len(place.rows("send_attempts", phase="sending")) == 12)
    away.set()
    worker.join()
    assert sum(lost) > 0
    assert {place.message(one)["status"] for one in ids} == {"accepted"}
    # Whoever looks for the reason of a delay finds how much waited, and for what.
    (told,) = lines(capsys, "outbox.unwritten")
    assert (told["count"], "gone for a moment" in told["error"]) == (sum(lost), True)


def test_a_run_that_cannot_ask_for_more_asks_once_and_sends_what_it_has(
    world: World,
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place.set_number(throughput="HIGH")
    ids = queue(world, place, *(place.person() for _ in range(3)))
    settled = [threading.Event() for _ in ids]

    class OneByOne(Meta):
        """Answers each when the one before it is settled."""

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            number = int(body_of(request))
            assert number == 0 or settled[number - 1].wait(30)
            return super().handle_request(request)

    advance = store.advance

    def told(connection: Connection, *args: Any, **kwargs: Any) -> Any:
        steps = advance(connection, *args, **kwargs)
        for step in steps:
            if step.step == "settled":
                settled[ids.index(step.message_id)].set()
        return steps

    def lose() -> list[Any]:
        asked.append(1)
        raise Unavailable("gone for a moment")

    asked: list[int] = []
    monkeypatch.setattr(store, "advance", told)
    tools = world.tools(place.time.clock(), transport=OneByOne())
    road = Road(tools, uuid7(), until=tools.clock.monotonic() + 60)
    road.run([], due._claim(tools, road.token), more=lose)
    assert {place.message(one)["status"] for one in ids} == {"accepted"}
    assert (len(asked), len(lines(capsys, "outbox.claim_lost"))) == (1, 1)


# ------------------------------------------------------------------------------- replies and bulk


def test_a_reply_goes_ahead_of_bulk_that_was_claimed_before_it(world: World, place: Place) -> None:
    place.set_number(throughput="HIGH")
    bulk = [place.person() for _ in range(60)]
    queue(world, place, *bulk, origin=Origin.CAMPAIGN)
    reply: list[Person] = []
    order: list[str] = []

    class Late(Meta):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            order.append(json.loads(request.read())["to"])
            if not reply:
                reply.append(place.person())
                queue(world, place, reply[0])
            return super().handle_request(request)

    tools = world.tools(place.time.clock(), transport=Late())
    with in_turn():
        outbox.run_due(tools, tools.clock.monotonic() + 60)
    assert len(order) == 61
    # What was claimed with the first goes out with it.
    assert order.index(f"+{reply[0].phone}") == 16
