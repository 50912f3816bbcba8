"""A template's category will change, or has changed (field template_category_update).

With `correct_category` the change is coming: then `new_category` is the one it still has. Done, it
has `previous_category`, and nothing is coming any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from switchboard.whatsapp.webhook.fields._field import Change, Field
from switchboard.whatsapp.webhook.fields._templates import KIND as TEMPLATE
from switchboard.whatsapp.webhook.fields._templates import template_event
from switchboard.whatsapp.webhook.fields._told import optional_word, word
from switchboard.whatsapp.webhook.items import Item
from switchboard.whatsapp.webhook.values import seconds

NAME = "template_category_update"


def _read(change: Change) -> Iterable[Item]:
    value = change.value
    category = word(value, "new_category")
    correct = optional_word(value, "correct_category")
    coming: dict[str, Any] | None = None
    if correct is not None:
        coming = {"category": correct, "at": seconds(value.get("category_update_timestamp"))}
    event = "COMING" if coming else "CHANGED"
    return [template_event(change, NAME, event, {"category": category, "coming": coming})]


KIND = Field(name=NAME, read=_read, events=(TEMPLATE,))
