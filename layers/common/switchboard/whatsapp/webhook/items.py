"""What a webhook body is made of: messages, statuses, and what nothing handles or can read.

Named tuples and not frozen dataclasses: making one takes a fifth of the time, and a body has 1,000.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from switchboard.whatsapp.webhook.payloads import Payload


class Sender(NamedTuple):
    """Who wrote, or whom we wrote to.

    At least one of `wa_id` and `user_id` is there, and either may be missing. `wa_id` is a phone
    number as Meta writes it, 7 to 15 digits; a user name or a business-scoped user id that came in
    its place is in `user_id`. `username` is without its leading `@`.
    (Webhooks, business-scoped user ids: case and punctuation of the ids matter.)
    """

    wa_id: str | None
    user_id: str | None
    parent_user_id: str | None
    username: str | None
    profile_name: str | None


class Message(NamedTuple):
    """One inbound message.

    `type` is Meta's word as sent, `content` Meta's object of that name (a list for contacts, empty
    for a type that has none), `payload` what was read from it. `extra` holds every other key that
    is not part of the envelope, as sent: context, referral, identity, errors, group_id, …; and
    under `unreadable` the reason why a known type could not be read. `contact` is the contacts[]
    entry of the sender, `raw` the whole message. `timestamp` is in Unix seconds.
    """

    waba_id: str | None
    phone_number_id: str
    id: str
    timestamp: int
    type: str
    content: dict[str, Any] | list[Any]
    sender: Sender
    context_id: str | None
    group_id: str | None
    extra: dict[str, Any]
    payload: Payload
    contact: dict[str, Any] | None
    raw: dict[str, Any]


class Status(NamedTuple):
    """What became of one of our messages, in Meta's word: sent, delivered, read, played, failed, …

    `participant` is the person of a group message and empty otherwise, `callback_data` what we sent
    as biz_opaque_callback_data, `errors` Meta's error objects. `timestamp` is in Unix seconds.
    `recipient` is the person where Meta names them by several ids, which makes these one person's.
    """

    waba_id: str | None
    phone_number_id: str
    id: str
    status: str
    timestamp: int
    recipient_id: str | None
    participant: str
    callback_data: str | None
    errors: list[dict[str, Any]]
    raw: dict[str, Any]
    recipient: Sender | None = None


class Event(NamedTuple):
    """What is neither a message nor a status: a call, a template's state, a consent, …

    `kind` is one of ours and names what takes it (`event_<kind>` in sql/), `detail` is its
    document, made of JSON values. `at` is Meta's time in Unix seconds: the event's own, else the
    entry's, None where neither is there. `change` is the smallest change that holds just this
    event, for a replay. Without a number of Meta's the event is its WABA's.
    """

    waba_id: str | None
    phone_number_id: str | None
    kind: str
    at: int | None
    detail: dict[str, Any]
    change: dict[str, Any]
    entry_time: int | None


class Unhandled(NamedTuple):
    """A change whose field, or a status whose type, no code handles yet: kept whole.

    `raw` is a change object, `{"field", "value"}`; `field` is empty where Meta named none.
    `entry_time` is in Unix seconds where the entry has one.
    """

    waba_id: str | None
    phone_number_id: str | None
    field: str
    raw: dict[str, Any]
    entry_time: int | None


class Malformed(NamedTuple):
    """A part that cannot be read or stored: its bytes, and why. Its neighbours are not touched.

    `body` is the smallest webhook body that holds it, for a replay: parsed again it gives an item
    with the same `body`.
    """

    waba_id: str | None
    phone_number_id: str | None
    reason: str
    raw: bytes
    body: bytes


Item = Message | Status | Event | Unhandled | Malformed
