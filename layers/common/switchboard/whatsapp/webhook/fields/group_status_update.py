"""A group was suspended, or may be used again (field group_status_update)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from switchboard.whatsapp.webhook.fields._field import Change, Field
from switchboard.whatsapp.webhook.fields._groups import KIND as GROUP
from switchboard.whatsapp.webhook.fields._groups import News, read_groups
from switchboard.whatsapp.webhook.items import Item
from switchboard.whatsapp.webhook.payloads._read import Object

NAME = "group_status_update"
_SUSPENDED = {"group_suspend": True, "group_suspend_cleared": False}


def _news(group: Object) -> News:
    states: dict[str, Any] = {}
    suspended = _SUSPENDED.get(group["type"])
    if suspended is not None:
        states["suspended"] = suspended
    return states, []


def _read(change: Change) -> Iterable[Item]:
    return read_groups(change, NAME, _news)


KIND = Field(name=NAME, read=_read, events=(GROUP, "account_event"), is_apart=True)
