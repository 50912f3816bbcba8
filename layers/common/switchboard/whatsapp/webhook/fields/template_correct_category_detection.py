"""Meta thinks a template belongs into another category (template_correct_category_detection)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from switchboard.whatsapp.webhook.fields._field import Change, Field
from switchboard.whatsapp.webhook.fields._templates import KIND as TEMPLATE
from switchboard.whatsapp.webhook.fields._templates import template_event
from switchboard.whatsapp.webhook.fields._told import optional_word, word
from switchboard.whatsapp.webhook.items import Item

NAME = "template_correct_category_detection"


def _read(change: Change) -> Iterable[Item]:
    correct = word(change.value, "correct_category")
    states: dict[str, Any] = {"correct_category": correct}
    category = optional_word(change.value, "category")
    if category is not None:
        states["category"] = category
    return [template_event(change, NAME, correct, states)]


KIND = Field(name=NAME, read=_read, events=(TEMPLATE,))
