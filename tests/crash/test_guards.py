"""Each guard of the send road is needed: without it one of these histories goes wrong.

A mutant is the migrated function with one guard taken out, in the test's own database.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from uuid import UUID

import pytest

from switchboard import outbox
from switchboard.kernel.log import log
from switchboard.outbox import Outgoing
from switchboard.outbox.commit import commit
from switchboard.store import outbox as store
from switchboard.tools import Tools
from tests.crash.history import History, Ledger, Processes, Road, Webhooks, check
from tests.crash.meta import Fault, Meta
from tests.databases import ClonedDatabase
from tests.sending import Place, World, deliver, status_body


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Errors are what happens here."""
    log.set_level("CRITICAL")
    yield
    log.set_level("INFO")


@pytest.fixture
def world(database: ClonedDatabase) -> Iterator[World]:
    with closing(World(database)) as world:
        yield world


def take_out(world: World, function: str, guard: str, instead: str) -> None:
    """Replace `guard` in a function of the schema."""
    row = world.everything.execute(
        "select pg_get_functiondef(oid) from pg_proc where proname = %s", (function,)
    ).fetchone()
    assert row is not None
    assert guard in row[0], f"{function} has no {guard}"
    world.everything.execute(row[0].replace(guard, instead).encode())


@contextmanager
def going_wrong() -> Iterator[None]:
    with pytest.raises(AssertionError):
        yield


def run_history(world: World, **how: object) -> Ledger:
    with closing(Processes(world.database)) as processes:
        return History(processes, world.place(), road=Road.CALLER, **how).run()  # type: ignore[arg-type]


def crash_with_the_answer_in_hand(world: World) -> None:
    """Meta has it, the worker dies before the settle, no webhook tells."""
    ledger = run_history(world, fault=Fault.NONE, webhooks=Webhooks.LOST, crash_at=6)
    check(ledger, Fault.NONE, Webhooks.LOST)
    assert ledger.status == "undetermined"


def test_a_crash_after_the_request_is_never_sent_again(world: World) -> None:
    crash_with_the_answer_in_hand(world)


def test_without_the_intent_a_crash_after_the_request_sends_twice(world: World) -> None:
    take_out(
        world, "reserve_send", "case when i.leased then i.state else 'pending' end", "'pending'"
    )
    take_out(world, "settle_send", "and a.phase = 'sending'", "")
    with going_wrong():
        crash_with_the_answer_in_hand(world)


def status_ahead_of_the_answer(world: World) -> None:
    """The statuses are in, then the request runs into its timeout."""
    ledger = run_history(world, fault=Fault.TIMEOUT_AFTER, webhooks=Webhooks.BEFORE, crash_at=None)
    check(ledger, Fault.TIMEOUT_AFTER, Webhooks.BEFORE)


def test_a_status_ahead_of_a_timeout_is_not_taken_back(world: World) -> None:
    status_ahead_of_the_answer(world)


def test_without_the_ladder_the_timeout_takes_a_read_message_back(world: World) -> None:
    world.everything.execute(
        "create or replace function messaging.moves(rank smallint, target smallint, falls boolean)"
        " returns boolean language sql immutable return true"
    )
    with going_wrong():
        status_ahead_of_the_answer(world)


def sixteen_at_once(world: World) -> None:
    """Sixteen clients with one key; one message may go out."""
    place = world.place()
    person = place.person()
    meta = Meta()

    def client(_: int) -> outbox.Answer:
        tools = world.tools(place.time.clock(), transport=meta)
        return outbox.send(
            tools,
            place.tenant_id,
            Outgoing(
                phone_number_id=place.phone_number_id,
                phone=person.phone,
                message={"type": "text", "text": {"body": "once"}},
                key="the key",
                sha256=b"\1" * 32,
            ),
        )

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(client, range(16)))
    assert len(meta.taken) == 1
    assert len(place.rows("whatsapp_messages")) == 1
    assert {answer.status for answer in answers} <= {200, 409}
    ids = {answer.body["id"] for answer in answers if answer.status == 200}
    assert len(ids) == 1
    # Whoever came too early comes again and gets the same answer.
    assert client(0).body["id"] in ids


def test_sixteen_clients_with_one_key_send_one_message(world: World) -> None:
    sixteen_at_once(world)


def test_without_the_unique_key_they_send_several(world: World) -> None:
    take_out(world, "reserve_send", "where k.expires_at <= p_now", "")
    with going_wrong():
        sixteen_at_once(world)


def a_slow_worker_wakes_up(world: World) -> None:
    """Its attempt was given up and is sent once more by another; it comes back with a throttle."""
    place = world.place()
    place.set_number(resend_once=True)
    person = place.person()
    meta = Meta(Fault.TIMEOUT_BEFORE)
    tools = world.tools(place.time.clock(), transport=meta)
    sent = outbox.send(tools, place.tenant_id, _text(place, person.phone))
    message_id = UUID(sent.body["id"])
    place.time.turn(minutes=1)
    _told_later_message(world, place)
    place.time.turn(minutes=20)
    now = place.time.clock()
    worker = world.tools(now, transport=meta)
    outbox.sweep(worker)
    (attempt,) = place.rows("send_attempts")
    assert (attempt["attempt"], attempt["phase"]) == (2, "pending")
    token = now.new_id()
    leased = commit(worker, lambda c: store.claim(c, token, 10, lease_s=30, now=now.now))
    assert leased == {place.tenant_id: [message_id]}
    _advance(worker, place, token, "[]", f'[{{"id": "{message_id}", "verdict": "allowed"}}]')
    # The slow worker settles under its old token.
    late = (
        f'[{{"id": "{message_id}", "account": "{place.account_id}", "result": "retry", "delay": 0,'
        ' "code": "130429", "message": "late"}]'
    )
    _advance(worker, place, now.new_id(), late, "[]")
    (attempt,) = place.rows("send_attempts")
    assert attempt["phase"] == "sending", "a late worker took the attempt from its holder"
    assert attempt["lease_token"] == token


def test_a_late_worker_changes_no_state(world: World) -> None:
    a_slow_worker_wakes_up(world)


def test_without_the_token_a_late_worker_takes_the_attempt_away(world: World) -> None:
    take_out(world, "settle_send", "and a.lease_token = p_token", "")
    with going_wrong():
        a_slow_worker_wakes_up(world)


def a_status_comes_before_the_resend(world: World) -> None:
    place = world.place()
    place.set_number(resend_once=True)
    person = place.person()
    meta = Meta(Fault.TIMEOUT_AFTER)
    tools = world.tools(place.time.clock(), transport=meta)
    outbox.send(tools, place.tenant_id, _text(place, person.phone))
    place.time.turn(minutes=1)
    _told_later_message(world, place)
    place.time.turn(minutes=20)
    worker = world.tools(place.time.clock(), transport=meta)
    outbox.sweep(worker)
    (taken,) = meta.taken
    deliver(
        worker,
        status_body(place, taken.wa_message_id, taken.callback_data, ("sent", place.time.now)),
    )
    outbox.run_due(worker, worker.clock.monotonic() + 60)
    assert len(meta.taken) == 1, "sent again although it had arrived"
    assert place.rows("send_attempts") == []


def test_a_status_stops_a_resend(world: World) -> None:
    a_status_comes_before_the_resend(world)


def test_without_a_look_at_the_message_the_resend_goes_out(world: World) -> None:
    take_out(
        world,
        "advance_sends",
        "where m.status = 'pending' and m.wa_message_id is null",
        "where true",
    )
    with going_wrong():
        a_status_comes_before_the_resend(world)


def _text(place: Place, phone: str) -> Outgoing:
    return Outgoing(
        phone_number_id=place.phone_number_id,
        phone=phone,
        message={"type": "text", "text": {"body": "hello"}},
    )


def _told_later_message(world: World, place: Place) -> None:
    """A later message of the number gets a status: webhooks do arrive."""
    meta = Meta()
    tools = world.tools(place.time.clock(), transport=meta)
    outbox.send(tools, place.tenant_id, _text(place, place.person().phone))
    (taken,) = meta.taken
    deliver(
        tools,
        status_body(place, taken.wa_message_id, taken.callback_data, ("sent", place.time.now)),
    )


def _advance(tools: Tools, place: Place, token: UUID, settle: str, intent: str) -> None:
    commit(
        tools,
        lambda c: store.advance(
            c,
            place.tenant_id,
            token,
            settle=settle,
            intent=intent,
            release=[],
            lease_s=30,
            now=place.time.now,
        ),
    )
