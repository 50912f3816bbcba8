"""A status before, during and after the settle of its send ends in the same row."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from switchboard import outbox
from switchboard.kernel.clock import Clock
from switchboard.outbox import Outgoing
from tests.crash.meta import TAKEN, Fault, Meta, Taken
from tests.databases import ClonedDatabase
from tests.sending import Place, Time, World, deliver, status_body


@pytest.fixture
def world(database: ClonedDatabase) -> Iterator[World]:
    with closing(World(database)) as world:
        yield world


#: What the same history must leave, whatever the order: no ids, no times of receipt.
COMPARED = (
    "status",
    "status_rank",
    "sent_at",
    "delivered_at",
    "read_at",
    "failed_at",
    "error_code",
    "error_message",
    "errors",
)


def run(
    world: World,
    time: Time,
    when: str,
    statuses: tuple[str, ...],
    *,
    key: bool,
    fault: Fault = Fault.NONE,
) -> Any:
    """Send one message; its statuses come before its answer, while it is settled, or after.

    Then what is due again goes out, and a sweep ends what was in doubt.
    """
    place = Place(world.everything, time)
    person = place.person()
    tools = world.tools(time.clock())
    threads: list[threading.Thread] = []

    def tell(taken: Taken) -> None:
        callback = taken.callback_data if key else None
        intake = world.tools(time.clock())
        for status in statuses:
            body = status_body(place, wamid(taken), callback, (status, time.now))
            deliver(intake, body)
        intake.db.drop()

    def on_taken(taken: Taken) -> None:
        if when == "before":
            tell(taken)
        elif when == "during":
            threads.append(threading.Thread(target=tell, args=(taken,)))
            threads[-1].start()

    meta = Meta(fault, on_taken=on_taken)
    from switchboard.whatsapp.client import GraphClient

    tools.__dict__["graph"] = GraphClient("http://graph.invalid", "v23.0", transport=meta)
    answer = outbox.send(
        tools,
        place.tenant_id,
        Outgoing(
            phone_number_id=place.phone_number_id,
            phone=person.phone,
            message={"type": "text", "text": {"body": "hi"}},
        ),
    )
    if not meta.taken:
        # Long enough for any back-off; the statuses' own times stay.
        later = world.tools(Clock(now=time.now + timedelta(minutes=20)))
        later.__dict__["graph"] = tools.graph
        outbox.run_due(later, later.clock.monotonic() + 60)
    if when == "after":
        tell(meta.taken[0])
    for thread in threads:
        thread.join(20)
    if fault in TAKEN:
        outbox.sweep(tools)
    row = place.message(UUID(answer.body["id"]))
    assert row["wa_message_id"] == wamid(meta.taken[0])
    assert place.rows("send_attempts") == []
    logged = {"read": "delivered"}.get(row["status"], row["status"])
    assert [log["status"] for log in place.rows("delivery_logs")] == [
        logged if fault in TAKEN else "accepted"
    ]
    tools.db.drop()
    return {name: row[name] for name in COMPARED}


def wamid(taken: Taken) -> str:
    return taken.wa_message_id


@pytest.mark.parametrize("key", [True, False], ids=["with our key", "by Meta's id alone"])
def test_when_a_status_comes_makes_no_difference(world: World, *, key: bool) -> None:
    time = Time()
    for statuses in [
        ("sent",),
        ("read", "sent", "delivered"),
        ("failed",),
        ("failed", "delivered"),
        ("delivered", "failed"),
    ]:
        ends = [
            run(world, time, when, order, key=key)
            for when in ("before", "during", "after")
            for order in itertools.islice(itertools.permutations(statuses), 2)
        ]
        assert all(end == ends[0] for end in ends), statuses


FAILURE = ("131026", "no", [{"code": 131026, "title": "no"}])


@pytest.mark.parametrize("fault", [Fault.TIMEOUT_AFTER, Fault.BARE_500_AFTER, Fault.THROTTLED])
@pytest.mark.parametrize(
    ("statuses", "status", "errors"),
    [
        (("sent",), "sent", (None, None, None)),
        (("read", "sent", "delivered"), "read", (None, None, None)),
        (("failed",), "failed", FAILURE),
        (("failed", "delivered"), "delivered", FAILURE),
        (("delivered", "failed"), "delivered", FAILURE),
    ],
)
def test_what_was_in_the_way_of_a_send_leaves_no_error_on_it(
    world: World,
    fault: Fault,
    statuses: tuple[str, ...],
    status: str,
    errors: tuple[Any, ...],
) -> None:
    """Only a failure that Meta told is an error of the message, whenever it was told."""
    time = Time()
    for when in ("before", "during", "after"):
        end = run(world, time, when, statuses, key=True, fault=fault)
        assert end["status"] == status, when
        assert (end["error_code"], end["error_message"], end["errors"]) == errors, when
