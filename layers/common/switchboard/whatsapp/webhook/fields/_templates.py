"""What the five template fields share: which template, and the event of its new state."""

from __future__ import annotations

from typing import Any

from switchboard.whatsapp.webhook.fields._field import Change
from switchboard.whatsapp.webhook.fields._told import identifier, told
from switchboard.whatsapp.webhook.items import Event
from switchboard.whatsapp.webhook.payloads._read import Object, Odd

KIND = "template"


def template_event(change: Change, field: str, word: str, states: dict[str, Any]) -> Event:
    """Return the event of a template; raises Odd where the change does not name one.

    Meta writes languages with `-` in webhooks and with `_` in the API: kept with `_`. Its id is a
    number: kept as text. A name may come back under another id, so the id is an aspect too.
    """
    value = change.value
    if value.get("message_template_id") is not None:
        states = {**states, "id": identifier(value, "message_template_id")}
    if change.waba_id is None:
        raise Odd("the entry names no business account")
    return told(
        change,
        KIND,
        field,
        word,
        states,
        name=identifier(value, "message_template_name"),
        language=identifier(value, "message_template_language").replace("-", "_"),
    )


def is_template(value: Object) -> bool:
    """Return whether a value names a template."""
    return "message_template_name" in value and "message_template_language" in value
