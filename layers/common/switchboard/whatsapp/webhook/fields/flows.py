"""A WhatsApp Flow's status, and how well its endpoint does (field flows).

Each kind of alert is an aspect of its own, with its last word: ACTIVATED or DEACTIVATED.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from switchboard.whatsapp.webhook.fields._field import Change, Field
from switchboard.whatsapp.webhook.fields._told import identifier, told, word
from switchboard.whatsapp.webhook.items import Item
from switchboard.whatsapp.webhook.payloads._read import Odd

NAME = "flows"


def _read(change: Change) -> Iterable[Item]:
    value = change.value
    event = word(value, "event")
    flow_id = identifier(value, "flow_id")
    if change.waba_id is None:
        raise Odd("the entry names no business account")
    states: dict[str, Any]
    if event == "FLOW_STATUS_CHANGE":
        states = {"status": word(value, "new_status")}
    else:
        alert = {key: part for key, part in value.items() if key != "flow_id"}
        states = {f"alert:{event}": alert, "last_alert": alert}
    return [told(change, "flow", NAME, event, states, flow=flow_id)]


KIND = Field(name=NAME, read=_read, events=("flow",))
