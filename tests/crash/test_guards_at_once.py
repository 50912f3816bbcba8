"""Guards that only workers at the same moment, or one that comes back late, have need of.

A mutant is the migrated schema with one guard taken out, in the test's own database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from switchboard import outbox
from switchboard.kernel.log import log
from switchboard.outbox import Origin, Outgoing
from switchboard.outbox.commit import commit
from switchboard.store import outbox as store
from switchboard.tools import Tools
from tests.crash.guards import going_wrong, take_out
from tests.crash.meta import Fault, Meta
from tests.crash.processes import Now
from tests.crash.resends import advance, resend_pending, tell, text
from tests.databases import ClonedDatabase
from tests.sending import Place, World, poll


@pytest.fixture
def world(database: ClonedDatabase) -> Iterator[World]:
    log.set_level("CRITICAL")
    with closing(World(database)) as world:
        yield world
    log.set_level("INFO")


def queue(world: World, place: Place, *items: Outgoing) -> list[UUID]:
    """Store messages as a job's effect does; return their ids."""
    tools = world.tools(place.time.clock())
    with tools.db.transaction(place.tenant_id) as connection:
        answers = outbox.queue(tools, connection, place.tenant_id, items)
    return [UUID(answer.body["id"]) for answer in answers]


# ------------------------------------------------------------------------------- stories


def sixteen_with_one_key(world: World) -> None:
    """Sixteen clients with one key; one message may go out."""
    place = world.place()
    person = place.person()
    meta = Meta()

    def client(_: int) -> outbox.Answer:
        tools = world.tools(place.time.clock(), transport=meta)
        item = text(place, person.phone, key="the key", sha256=b"\1" * 32)
        return outbox.send(tools, place.tenant_id, item)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(client, range(16)))
    assert len(meta.taken) == 1
    assert len(place.rows("whatsapp_messages")) == 1
    assert {answer.status for answer in answers} <= {200, 409}
    ids = {answer.body["id"] for answer in answers if answer.status == 200}
    assert len(ids) == 1
    # Whoever came too early comes again and gets the same answer.
    assert client(0).body["id"] in ids


def a_slow_worker_wakes_up(world: World) -> None:
    """Its attempt was given up and is sent once more by another; it comes back with a throttle."""
    place, _, message_id = resend_pending(world, first=Fault.TIMEOUT_BEFORE)
    worker = world.tools(place.time.clock())
    token = uuid4()
    leased = commit(worker, lambda c: store.claim(c, token, 10, lease_s=30, now=place.time.now))
    assert leased == {place.tenant_id: [message_id]}
    advance(worker, place, token, intent=f'[{{"id": "{message_id}", "verdict": "allowed"}}]')
    # The slow worker settles under its old token.
    late = (
        f'[{{"id": "{message_id}", "account": "{place.account_id}", "result": "retry", "delay": 0,'
        ' "code": "130429", "message": "late"}]'
    )
    advance(worker, place, uuid4(), settle=late)
    (attempt,) = place.rows("send_attempts")
    assert attempt["phase"] == "sending", "a late worker took the attempt from its holder"
    assert attempt["lease_token"] == token


def a_status_comes_before_the_resend(world: World) -> None:
    place, meta, _ = resend_pending(world)
    tell(world, place, meta, "sent")
    worker = world.tools(place.time.clock(), transport=meta)
    outbox.run_due(worker, worker.clock.monotonic() + 60)
    assert len(meta.taken) == 1, "sent again although it had arrived"
    assert place.rows("send_attempts") == []


def what_was_read_expires(world: World) -> None:
    """A resend waits, the first is read, then the message's end is over."""
    place, meta, message_id = resend_pending(world, expires_in=timedelta(minutes=30))
    tell(world, place, meta, "read")
    place.time.turn(minutes=30)
    outbox.sweep(world.tools(place.time.clock(), transport=meta))
    assert place.message(message_id)["status"] == "read", "shown as never sent"
    assert place.rows("send_attempts") == []


def a_reply_is_sent_while_bulk_is_claimed(world: World) -> None:
    """Both are of one conversation, and neither sees the other's lease yet."""
    place = world.place()
    person = place.person()
    queue(world, place, text(place, person.phone, origin=Origin.CAMPAIGN))
    meta = Meta()
    clock = Now()
    clock.time = place.time
    worker = world.tools(place.time.clock())
    caller = world.tools(clock, transport=meta)  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as pool:
        with worker.db.transaction() as connection:
            assert store.claim(connection, uuid4(), 10, lease_s=30, now=place.time.now)
            late = pool.submit(outbox.send, caller, place.tenant_id, text(place, person.phone))
            wait_for(world, late)
        assert late.result().status == 202, "two of one conversation at once"
    assert meta.taken == []


def wait_for(world: World, late: Future[Any]) -> None:
    """Wait until `late` is done, or waits for a lock."""
    waiting = "select from pg_stat_activity where wait_event_type = 'Lock'"
    poll(lambda: late.done() or world.everything.execute(waiting).fetchone() is not None)


def what_is_held_is_not_overtaken(world: World) -> None:
    """Of two to one person the first is over the pair's limit: the second is not even looked at."""
    place = world.place()
    person = place.person()
    queue(world, place, text(place, person.phone), text(place, person.phone))
    world.everything.execute(
        "update messaging.whatsapp_conversations set message_count = 44 where id = %s",
        (person.conversation_id,),
    )
    world.everything.execute(
        "insert into messaging.pair_limits (tenant_id, conversation_id, paid_until)"
        " values (%s, %s, %s)",
        (place.tenant_id, person.conversation_id, place.time.now + timedelta(seconds=300)),
    )
    tools = world.tools(place.time.clock(), transport=Meta())
    outbox.run_due(tools, tools.clock.monotonic() + 60)
    held = place.rows("send_attempts", held_by="pair")
    assert len(held) == 1, "a later one took its turn"
    assert outbox.run_due(tools, tools.clock.monotonic() + 60) == {}, "a later one took its turn"


def at_once(world: World, place: Place, statement: str, *given: tuple[object, ...]) -> list[Any]:
    """Run a statement with each of two parameters at the same moment; return what came back."""
    one, two = world.tools(place.time.clock()), world.tools(place.time.clock())

    def book(tools: Tools) -> Any:
        with tools.db.transaction(place.tenant_id) as connection:
            return connection.execute(statement.encode(), given[1]).fetchone()

    with ThreadPoolExecutor(1) as pool:
        with one.db.transaction(place.tenant_id) as connection:
            row = connection.execute(statement.encode(), given[0]).fetchone()
            late = pool.submit(book, two)
            wait_for(world, late)
        return [*(row or ()), *late.result()]


def a_bucket_is_booked_twice_at_once(world: World) -> None:
    """Forty messages are all that a number's bucket holds."""
    place = world.place()
    world.everything.execute(
        "insert into messaging.send_limits (tenant_id, account_id) values (%s, %s)",
        (place.tenant_id, place.account_id),
    )
    statement = "select granted[1] from messaging.take_tokens(%s, %s, array[30, 0, 0], %s)"
    given = (place.tenant_id, place.account_id, place.time.now)
    assert at_once(world, place, statement, given, given) == [30, 10], "booked twice"


def a_fresh_bucket_is_booked_twice_at_once(world: World) -> None:
    """Nothing is to be looked for: one step books."""
    place = world.place()
    world.everything.execute(
        "insert into messaging.send_limits (tenant_id, account_id, heard_until)"
        " values (%s, %s, messaging.uuid_at(%s))",
        (place.tenant_id, place.account_id, place.time.now),
    )
    statement = "select granted[1] from messaging.take_tokens(%s, %s, array[30, 0, 0], %s)"
    given = (place.tenant_id, place.account_id, place.time.now)
    assert at_once(world, place, statement, given, given) == [30, 10], "booked twice"


def a_day_is_booked_twice_at_once(world: World) -> None:
    """One more person may be written to today."""
    place = world.place()
    statement = "select cardinality(admitted) from messaging.book_recipients(%s, 'P', 1, %s, %s)"
    given = [
        (place.tenant_id, [person.contact_id], place.time.now)
        for person in (place.person(), place.person())
    ]
    assert at_once(world, place, statement, *given) == [1, 0], "booked twice"


def test_of_sixteen_clients_with_one_key_one_sends(world: World) -> None:
    sixteen_with_one_key(world)


def without(function: str, guard: str, instead: str = "") -> Callable[[World], None]:
    """Return what takes a guard out."""
    return lambda world: take_out(world, function, guard, instead)


def without_index(world: World) -> None:
    """Let any number of a lane be leased."""
    world.everything.execute("drop index messaging.send_attempts_running")
    take_out(
        world,
        "reserve_send",
        "on conflict (tenant_id, lane) where lease_token is not null do nothing",
        "on conflict do nothing",
    )


def without_holding(world: World) -> None:
    """Let only what is due keep others back."""
    world.everything.execute(
        "create or replace function messaging.holds_lane(o messaging.send_attempts, at timestamptz)"
        " returns boolean language sql immutable parallel safe return o.due_at <= at"
    )


def without_pending(world: World) -> None:
    """Let whatever waits expire."""
    take_out(world, "recover_sends", "'expired' then m.status = 'pending'", "'expired' then true")
    take_out(world, "recover_sends", "'pending' and not a.known and a.attempt = 1", "'pending'")


#: A guard -> the story that needs it, what goes wrong without it, what takes it out.
STORIES = {
    "the fence of the lease's token": (
        a_slow_worker_wakes_up,
        "took the attempt",
        without("settle_send", "and a.lease_token = p_token"),
    ),
    "the intent looks at the message": (
        a_status_comes_before_the_resend,
        "although it had arrived",
        without(
            "advance_sends",
            "where m.status = 'pending' and m.wa_message_id is null",
            "where true",
        ),
    ),
    "only what is pending expires": (
        what_was_read_expires,
        "shown as never sent",
        without_pending,
    ),
    "one of a lane at once": (
        a_reply_is_sent_while_bulk_is_claimed,
        "two of one conversation",
        without_index,
    ),
    "what is held keeps its lane": (
        what_is_held_is_not_overtaken,
        "took its turn",
        without_holding,
    ),
    "the bucket's row is locked": (
        a_bucket_is_booked_twice_at_once,
        "booked twice",
        without("take_tokens", "for no key update of l"),
    ),
    "the bucket's one step looks at its room": (
        a_fresh_bucket_is_booked_twice_at_once,
        "booked twice",
        without("take_tokens", "p_now) >= v_all", "p_now) >= 0"),
    ),
    "a portfolio's day is booked by one at a time": (
        a_day_is_booked_twice_at_once,
        "booked twice",
        without("book_recipients", "perform pg_advisory_xact_lock", "perform abs"),
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_without_its_guard_a_story_goes_wrong(world: World, name: str) -> None:
    story, wrong, take_it_out = STORIES[name]
    story(world)
    take_it_out(world)
    with going_wrong(wrong):
        story(world)
