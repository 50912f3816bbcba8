"""Another app or agent took over a thread, or gave it to us (field messaging_handovers).

Kept as an event of the number, with the summary that came along.
"""

from __future__ import annotations

from collections.abc import Iterable

from switchboard.whatsapp.webhook.envelope import seconds
from switchboard.whatsapp.webhook.fields._field import Change, Field
from switchboard.whatsapp.webhook.fields._told import optional_object, phone_forms, told, word
from switchboard.whatsapp.webhook.items import Item

NAME = "messaging_handovers"


def _read(change: Change) -> Iterable[Item]:
    value = change.value
    event = word(value, "type")
    ours = optional_object(value, "recipient") or {}
    yield told(
        change,
        "account_event",
        NAME,
        event,
        at=seconds(value.get("timestamp")),
        number=str(ours.get("phone_number_id")),
        phones=phone_forms(ours),
    )


KIND = Field(name=NAME, read=_read, events=("account_event",))
