"""Meta's decision on a number's display name (field phone_number_name_update)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from switchboard.whatsapp.webhook.fields._field import Change, Field
from switchboard.whatsapp.webhook.fields._numbers import KIND as NUMBER
from switchboard.whatsapp.webhook.fields._numbers import number_event
from switchboard.whatsapp.webhook.fields._told import optional_word, word
from switchboard.whatsapp.webhook.items import Item

NAME = "phone_number_name_update"


def _read(change: Change) -> Iterable[Item]:
    value = change.value
    decision = word(value, "decision")
    name = optional_word(value, "requested_verified_name")
    reason = optional_word(value, "rejection_reason")
    states: dict[str, Any] = {"name": {"decision": decision, "name": name, "reason": reason}}
    if decision == "APPROVED" and name is not None:
        # An aspect of its own: a later request that is refused leaves the name as it is.
        states["verified_name"] = name
    return [number_event(change, NAME, decision, states)]


KIND = Field(name=NAME, read=_read, events=(NUMBER,))
