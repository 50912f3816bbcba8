"""A message in doubt that was to go out once more, and does not.

The first may be on the phone: it is never shown as not sent, and a status still settles it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from uuid import UUID

import pytest

from switchboard import outbox
from switchboard.kernel.log import log
from switchboard.tools import Tools
from tests.crash.meta import Fault, Meta
from tests.crash.resends import resend_pending, settle_late, tell
from tests.databases import ClonedDatabase
from tests.sending import Place, World


@pytest.fixture
def world(database: ClonedDatabase) -> Iterator[World]:
    log.set_level("CRITICAL")
    with closing(World(database)) as world:
        yield world
    log.set_level("INFO")


def run_later(world: World, place: Place, meta: Meta, **by: float) -> Tools:
    """Let time pass and a worker come by."""
    place.time.turn(**by)
    worker = world.tools(place.time.clock(), transport=meta)
    outbox.run_due(worker, worker.clock.monotonic() + 60)
    outbox.sweep(worker)
    return worker


def close_window(world: World, place: Place, meta: Meta) -> None:
    world.everything.execute(
        "update messaging.whatsapp_conversations set window_expires_at = %s where tenant_id = %s",
        (place.time.now, place.tenant_id),
    )
    run_later(world, place, meta, seconds=5)


def block(world: World, place: Place, meta: Meta) -> None:
    world.everything.execute(
        "update messaging.contacts set is_blocked = true where tenant_id = %s", (place.tenant_id,)
    )
    run_later(world, place, meta, seconds=5)


def expire_at_the_worker(world: World, place: Place, meta: Meta) -> None:
    run_later(world, place, meta, minutes=5)


def expire_at_the_sweep(world: World, place: Place, meta: Meta) -> None:
    place.time.turn(minutes=5)
    outbox.sweep(world.tools(place.time.clock(), transport=meta))


def never_reach_meta(world: World, place: Place, meta: Meta) -> None:
    meta.fail_with(*[Fault.CONNECT] * 8)
    for _ in range(9):
        run_later(world, place, meta, minutes=16)


@pytest.mark.parametrize(
    "end", [close_window, block, expire_at_the_worker, expire_at_the_sweep, never_reach_meta]
)
def test_a_resend_that_does_not_go_out_leaves_the_message_undetermined(
    world: World, end: Callable[[World, Place, Meta], None]
) -> None:
    expires = timedelta(minutes=22) if "expire" in end.__name__ else None
    place, meta, message_id = resend_pending(world, expires_in=expires)
    end(world, place, meta)
    message = place.message(message_id)
    assert message["status"] == "undetermined"
    assert message["error_code"] is not None
    assert place.rows("send_attempts") == []
    assert len(meta.taken) == 1
    tell(world, place, meta, "sent")
    message = place.message(message_id)
    assert (message["status"], message["error_code"]) == ("sent", None)


def intend(world: World, place: Place, meta: Meta) -> None:
    run_later(world, place, meta, seconds=5)


@pytest.mark.parametrize("then", [intend, expire_at_the_worker, expire_at_the_sweep])
def test_a_late_worker_that_brings_metas_id_makes_the_resend_needless(
    world: World, then: Callable[[World, Place, Meta], None]
) -> None:
    expires = timedelta(minutes=22) if "expire" in then.__name__ else None
    place, meta, message_id = resend_pending(world, expires_in=expires)
    settle_late(world, place, meta, message_id)
    then(world, place, meta)
    message = place.message(message_id)
    assert (message["status"], message["error_code"]) == ("accepted", None)
    assert message["wa_message_id"] == meta.taken[0].wa_message_id
    assert place.rows("send_attempts") == []
    assert len(meta.taken) == 1
    logs = place.rows("delivery_logs", message_id=message_id)
    assert [row["attempt"] for row in logs] == [1]


def test_what_was_never_in_doubt_expires_as_before(world: World) -> None:
    place = world.place()
    tools = world.tools(place.time.clock(), transport=Meta())
    item = outbox.Outgoing(
        phone_number_id=place.phone_number_id,
        phone=place.person().phone,
        message={"type": "text", "text": {"body": "hello"}},
        expires_at=place.time.now + timedelta(minutes=1),
    )
    with tools.db.transaction(place.tenant_id) as connection:
        (answer,) = outbox.queue(tools, connection, place.tenant_id, [item])
    place.time.turn(minutes=2)
    outbox.sweep(world.tools(place.time.clock()))
    assert place.message(UUID(answer.body["id"]))["status"] == "expired"
