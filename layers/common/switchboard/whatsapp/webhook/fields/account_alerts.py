"""Alerts about a business, a number or an account (field account_alerts)."""

from __future__ import annotations

from collections.abc import Iterable

from switchboard.whatsapp.webhook.fields._field import Change, Field
from switchboard.whatsapp.webhook.fields._told import optional_object, told, word
from switchboard.whatsapp.webhook.items import Item

NAME = "account_alerts"


def _read(change: Change) -> Iterable[Item]:
    value = change.value
    # Older payloads have the keys of alert_info on the value itself.
    info = optional_object(value, "alert_info") or value
    event = word(info, "alert_type")
    if value.get("entity_type") == "PHONE_NUMBER":
        return [told(change, "account_event", NAME, event, number=str(value.get("entity_id")))]
    return [told(change, "account_event", NAME, event)]


KIND = Field(name=NAME, read=_read, events=("account_event",))
