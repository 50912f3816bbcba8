"""What Meta decides about a business account holds its sends, and lets them go on."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest

from switchboard import outbox
from switchboard.outbox import Origin, Outgoing
from switchboard.store import outbox as store
from tests.databases import ClonedDatabase
from tests.deliveries import body_of
from tests.sending import Place, World, deliver


@pytest.fixture
def world(database: ClonedDatabase) -> Iterator[World]:
    with closing(World(database)) as world:
        yield world


def tell(world: World, place: Place, event: str, at: int = 0, **parts: Any) -> None:
    """Let Meta tell something of the place's business account, `at` seconds from its time."""
    change = {"field": "account_update", "value": {"event": event, **parts}}
    time = int(place.time.now.timestamp()) + at
    body = body_of([{"id": place.waba_id, "time": time, "changes": [change]}])
    deliver(world.tools(place.time.clock()), body)


def ban(world: World, place: Place, state: str, at: int = 0) -> None:
    tell(world, place, "DISABLED_UPDATE", at, ban_info={"waba_ban_state": state})


def restrict(world: World, place: Place, seconds: int) -> None:
    until = int(place.time.now.timestamp()) + seconds
    kind = "RESTRICTED_BIZ_INITIATED_MESSAGING"
    said = [{"restriction_type": kind, "expiration": until}]
    tell(world, place, "ACCOUNT_RESTRICTION", restriction_info=said)


def queue(world: World, place: Place) -> UUID:
    """Store a message as a job does; return its id."""
    tools = world.tools(place.time.clock())
    message = {"type": "text", "text": {"body": "hello"}}
    item = Outgoing(
        phone_number_id=place.phone_number_id,
        phone=place.person().phone,
        message=message,
        origin=Origin.CHATBOT,
    )
    with tools.db.transaction(place.tenant_id) as connection:
        (answer,) = outbox.queue(tools, connection, place.tenant_id, [item])
    return UUID(answer.body["id"])


def claim(world: World, place: Place) -> dict[UUID, list[UUID]]:
    tools = world.tools(place.time.clock())
    token = uuid.uuid4()
    return store.claim(tools.db.connection(), token, 100, lease_s=30, now=tools.clock.now)


def test_a_ban_holds_what_waits_until_the_account_is_reinstated(world: World) -> None:
    place, other = world.place(), world.place()
    # One moment for both, though a second may have passed between them.
    other.time = place.time
    waiting = queue(world, place)
    free = queue(world, other)

    ban(world, place, "DISABLE")

    assert claim(world, place) == {other.tenant_id: [free]}
    ban(world, place, "REINSTATE", 1)
    assert claim(world, place) == {place.tenant_id: [waiting]}


def test_a_planned_ban_holds_nothing_yet(world: World) -> None:
    place = world.place()
    waiting = queue(world, place)
    ban(world, place, "SCHEDULE_FOR_DISABLE")
    assert claim(world, place) == {place.tenant_id: [waiting]}


def test_a_restriction_holds_what_waits_until_it_is_over(world: World) -> None:
    place = world.place()
    waiting = queue(world, place)
    restrict(world, place, 86_400)
    assert claim(world, place) == {}
    # A newer word of Meta's with an end that is past: as when the time has come.
    place.time.turn(seconds=1)
    restrict(world, place, -60)
    assert claim(world, place) == {place.tenant_id: [waiting]}


@pytest.mark.parametrize("decided", ["ban", "restriction", "deletion"])
def test_what_is_new_is_denied_meanwhile_and_says_why(world: World, decided: str) -> None:
    place = world.place()
    match decided:
        case "ban":
            ban(world, place, "DISABLE")
        case "restriction":
            restrict(world, place, 86_400)
        case _:
            tell(world, place, "ACCOUNT_DELETED")
    message = place.message(queue(world, place))
    assert message["status"] == "denied"
    assert message["decision"][-1]["reason"] == "number_inactive"
