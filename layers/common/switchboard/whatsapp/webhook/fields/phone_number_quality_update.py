"""A number's throughput, quality and messaging limit (field phone_number_quality_update).

`max_daily_conversations_per_business` is the newer name of the limit, `current_limit` the older
(both optional). FLAGGED meant that the quality had become low, UNFLAGGED that it no longer was;
which it then has, nobody said.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from switchboard.whatsapp.webhook.fields._field import Change, Field
from switchboard.whatsapp.webhook.fields._numbers import KIND as NUMBER
from switchboard.whatsapp.webhook.fields._numbers import number_event
from switchboard.whatsapp.webhook.fields._told import word
from switchboard.whatsapp.webhook.items import Item

NAME = "phone_number_quality_update"
_QUALITY = {"FLAGGED": "RED", "UNFLAGGED": "UNKNOWN"}
_LIMITS = ("max_daily_conversations_per_business", "current_limit")


def _read(change: Change) -> Iterable[Item]:
    value = change.value
    event = word(value, "event")
    states: dict[str, Any] = {}
    limits = [value[key] for key in _LIMITS if type(value.get(key)) in {str, int}]
    if limits:
        states["messaging_limit"] = str(limits[0])
    if event == "THROUGHPUT_UPGRADE":
        states["throughput"] = "HIGH"
    if event in _QUALITY:
        states["quality"] = _QUALITY[event]
    return [number_event(change, NAME, event, states)]


KIND = Field(name=NAME, read=_read, events=(NUMBER,))
