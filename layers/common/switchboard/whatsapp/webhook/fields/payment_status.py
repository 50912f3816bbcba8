"""What became of a payment that an order asked for: statuses of the type payment.

No field of Meta's: they stand among the statuses of the field messages. Their id is no message's;
`payment.reference_id`, which the order carried, tells which payment it is. (Webhooks, payments)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from switchboard.whatsapp.storable import is_id
from switchboard.whatsapp.webhook.fields._field import Change, Field, Odd, event, odd
from switchboard.whatsapp.webhook.items import Item
from switchboard.whatsapp.webhook.values import seconds

_LONGEST_WORD = 100


def _read(change: Change) -> Iterable[Item]:
    statuses = change.value.get("statuses", [])
    if type(statuses) is not list:
        raise Odd("statuses is not a list")
    for status in statuses:
        try:
            yield _status(change, status)
        except Odd as reason:
            yield odd(change, status, str(reason))


def _status(change: Change, status: Any) -> Item:
    if type(status) is not dict:
        raise Odd("a payment's status is not an object")
    if change.phone_number_id is None:
        raise Odd("metadata.phone_number_id is missing")
    payment = status.get("payment")
    if type(payment) is not dict or not is_id(payment.get("reference_id")):
        raise Odd("a payment has no reference_id")
    word = status.get("status")
    if type(word) is not str or not 0 < len(word) <= _LONGEST_WORD:
        raise Odd("a payment's status is missing or no word")
    at = seconds(status.get("timestamp"))
    if at is None:
        raise Odd("a payment's timestamp is no time in Unix seconds")
    document = {"r": payment["reference_id"], "st": word, "x": status}
    return event(change, "payment_status", document, at=at, part={"statuses": [status]})


KIND = Field(name="payment_status", read=_read, events=("payment_status",))
