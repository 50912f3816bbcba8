"""A template's quality score (field message_template_quality_update).

Meta's own sample of it comes as message_template_status_update: the keys decide.
"""

from __future__ import annotations

from collections.abc import Iterable

from switchboard.whatsapp.webhook.fields._field import Change, Field
from switchboard.whatsapp.webhook.fields._templates import KIND as TEMPLATE
from switchboard.whatsapp.webhook.fields._templates import is_template, template_event
from switchboard.whatsapp.webhook.fields._told import word
from switchboard.whatsapp.webhook.items import Item
from switchboard.whatsapp.webhook.payloads._read import Object

NAME = "message_template_quality_update"


def _read(change: Change) -> Iterable[Item]:
    score = word(change.value, "new_quality_score")
    return [template_event(change, NAME, score, {"quality": score})]


def _is_mine(value: Object) -> bool:
    return "new_quality_score" in value and "event" not in value and is_template(value)


KIND = Field(name=NAME, read=_read, events=(TEMPLATE,), is_mine=_is_mine)
