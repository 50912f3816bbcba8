"""What concerns the two-step PIN of a number (field security)."""

from __future__ import annotations

from collections.abc import Iterable

from switchboard.whatsapp.webhook.fields._field import Change, Field
from switchboard.whatsapp.webhook.fields._told import phone_forms, told, word
from switchboard.whatsapp.webhook.items import Item

NAME = "security"


def _read(change: Change) -> Iterable[Item]:
    event = word(change.value, "event")
    return [told(change, "account_event", NAME, event, phones=phone_forms(change.value))]


KIND = Field(name=NAME, read=_read, events=("account_event",))
