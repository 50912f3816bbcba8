"""A group was made or deleted (field group_lifecycle_update); what failed changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from switchboard.whatsapp.webhook.fields._field import Change, Field
from switchboard.whatsapp.webhook.fields._groups import KIND as GROUP
from switchboard.whatsapp.webhook.fields._groups import News, read_groups
from switchboard.whatsapp.webhook.fields._told import optional_word
from switchboard.whatsapp.webhook.items import Item
from switchboard.whatsapp.webhook.payloads._read import Object

NAME = "group_lifecycle_update"
_SAID = ("subject", "description", "invite_link", "join_approval_mode")


def _news(group: Object) -> News:
    if group.get("errors"):
        return {}, []
    states: dict[str, Any] = {"lifecycle": group["type"]}
    for key in _SAID:
        text = optional_word(group, key)
        if text is not None:
            states[key] = text
    return states, []


def _read(change: Change) -> Iterable[Item]:
    return read_groups(change, NAME, _news)


KIND = Field(name=NAME, read=_read, events=(GROUP, "account_event"), is_apart=True)
