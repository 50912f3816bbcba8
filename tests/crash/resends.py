"""A message that is due once more: what several tests begin with."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from switchboard import outbox
from switchboard.outbox import Outgoing
from switchboard.outbox.commit import commit
from switchboard.store import outbox as store
from switchboard.tools import Tools
from tests.crash.meta import Fault, Meta
from tests.sending import Place, World, deliver, status_body


def text(place: Place, phone: str, **how: Any) -> Outgoing:
    """Return a plain message."""
    return Outgoing(
        phone_number_id=place.phone_number_id,
        phone=phone,
        message={"type": "text", "text": {"body": "hello"}},
        **how,
    )


def resend_pending(
    world: World, *, expires_in: timedelta | None = None, first: Fault = Fault.TIMEOUT_AFTER
) -> tuple[Place, Meta, UUID]:
    """Have a message whose first attempt ended in doubt (Meta took it in silence) be due again.

    Returns where, with which Meta, and its id.
    """
    place = world.place()
    place.set_number(resend_once=True)
    meta = Meta(first)
    tools = world.tools(place.time.clock(), transport=meta)
    expires_at = None if expires_in is None else place.time.now + expires_in
    item = text(place, place.person().phone, expires_at=expires_at)
    message_id = UUID(outbox.send(tools, place.tenant_id, item).body["id"])
    place.time.turn(minutes=1)
    _tell_later_message(world, place)
    place.time.turn(minutes=20)
    outbox.sweep(world.tools(place.time.clock()))
    (attempt,) = place.rows("send_attempts")
    assert (attempt["attempt"], attempt["phase"]) == (2, "pending")
    return place, meta, message_id


def _tell_later_message(world: World, place: Place) -> None:
    """A later message of the number gets a status: webhooks do arrive."""
    meta = Meta()
    tools = world.tools(place.time.clock(), transport=meta)
    outbox.send(tools, place.tenant_id, text(place, place.person().phone))
    tell(world, place, meta, "sent")


def tell(world: World, place: Place, meta: Meta, status: str) -> None:
    """Deliver a status of the one message that Meta took."""
    (taken,) = meta.taken
    body = status_body(place, taken.wa_message_id, taken.callback_data, (status, place.time.now))
    deliver(world.tools(place.time.clock()), body)


def settle_late(world: World, place: Place, meta: Meta, message_id: UUID) -> None:
    """Have the first attempt's worker come back with Meta's answer, its lease long over."""
    (taken,) = meta.taken
    row = (
        f'[{{"id": "{message_id}", "account": "{place.account_id}", "result": "accepted",'
        f' "wamid": "{taken.wa_message_id}"}}]'
    )
    advance(world.tools(place.time.clock()), place, uuid4(), settle=row)


def advance(
    tools: Tools, place: Place, token: UUID, *, settle: str = "[]", intent: str = "[]"
) -> None:
    """Settle, or mark as intent, under a lease of one's own."""
    commit(
        tools,
        lambda connection: store.advance(
            connection,
            place.tenant_id,
            token,
            settle=settle,
            intent=intent,
            release=[],
            lease_s=30,
            now=place.time.now,
        ),
    )
