"""Another app or agent took over a thread, or gave it to us (field messaging_handovers).

Kept as an event of the number, with the summary that came along.
"""

from __future__ import annotations

from collections.abc import Iterable

from switchboard.whatsapp.storable import is_id
from switchboard.whatsapp.webhook.fields._field import Change, Field
from switchboard.whatsapp.webhook.fields._told import optional_object, phone_forms, told, word
from switchboard.whatsapp.webhook.items import Item
from switchboard.whatsapp.webhook.values import seconds

NAME = "messaging_handovers"


def _read(change: Change) -> Iterable[Item]:
    value = change.value
    event = word(value, "type")
    ours = optional_object(value, "recipient") or {}
    if is_id(ours.get("phone_number_id")):
        # These values have no metadata: they name their number themselves.
        change = change._replace(phone_number_id=ours["phone_number_id"])
    at = seconds(value.get("timestamp"))
    return [told(change, "account_event", NAME, event, at=at, phones=phone_forms(ours))]


KIND = Field(name=NAME, read=_read, events=("account_event",))
