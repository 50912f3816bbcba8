"""A template was approved, rejected, paused, disabled, … (field message_template_status_update).

Everything said with a status belongs to it and goes with it: the reason of a rejection and Meta's
advice, the date of disabling, which pause it is. Where there is more than a word and a reason it is
kept under the status as well (`said:REJECTED`): a sync tells the same status again, without it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from switchboard.whatsapp.webhook.fields._field import Change, Field
from switchboard.whatsapp.webhook.fields._templates import KIND as TEMPLATE
from switchboard.whatsapp.webhook.fields._templates import template_event
from switchboard.whatsapp.webhook.fields._told import optional_object, optional_word, word
from switchboard.whatsapp.webhook.items import Item

NAME = "message_template_status_update"


def _read(change: Change) -> Iterable[Item]:
    value = change.value
    status = word(value, "event")
    said: dict[str, Any] = {"status": status}
    reason = optional_word(value, "reason")
    if reason is not None:
        said["reason"] = reason
    for key in ("rejection_info", "disable_info", "other_info"):
        more = optional_object(value, key)
        if more is not None:
            said[key] = more
    states: dict[str, Any] = {"status": said}
    if len(said) > 1 + ("reason" in said):
        states[f"said:{status}"] = said
    if status == "APPROVED":
        states["approved"] = True
    category = optional_word(value, "message_template_category")
    if category is not None:
        states["category"] = category
    return [template_event(change, NAME, status, states)]


KIND = Field(name=NAME, read=_read, events=(TEMPLATE,))
