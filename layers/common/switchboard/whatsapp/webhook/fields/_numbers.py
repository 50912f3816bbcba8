"""What the fields about a business number share: which number, and the event of its new state."""

from __future__ import annotations

from typing import Any

from switchboard.whatsapp.webhook.fields._field import Change
from switchboard.whatsapp.webhook.fields._told import phone_forms, told
from switchboard.whatsapp.webhook.items import Event
from switchboard.whatsapp.webhook.payloads._read import Odd

KIND = "number"


def number_event(
    change: Change, field: str, word: str, states: dict[str, Any], *, at: int | None = None
) -> Event:
    """Return the event of a number; raises Odd where the change does not name one.

    These values have no metadata: the number is the one of the WABA that has these digits.
    """
    forms = phone_forms(change.value)
    if change.phone_number_id is None and (not forms or change.waba_id is None):
        raise Odd("display_phone_number is missing or no number")
    return told(change, KIND, field, word, states, at=at, phones=forms)
