"""A group's subject, description or picture was changed (field group_settings_update).

What Meta could not change (`update_successful` is false) stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from switchboard.whatsapp.webhook.fields._field import Change, Field
from switchboard.whatsapp.webhook.fields._groups import KIND as GROUP
from switchboard.whatsapp.webhook.fields._groups import News, read_groups
from switchboard.whatsapp.webhook.fields._told import optional_object, optional_word
from switchboard.whatsapp.webhook.items import Item
from switchboard.whatsapp.webhook.payloads._read import Object

NAME = "group_settings_update"


def _news(group: Object) -> News:
    states: dict[str, Any] = {}
    for key, aspect in (("group_subject", "subject"), ("group_description", "description")):
        said = optional_object(group, key)
        if said is not None and said.get("update_successful") is not False:
            states[aspect] = optional_word(said, "text")
    picture = optional_object(group, "profile_picture")
    if picture is not None and picture.get("update_successful") is not False:
        states["picture"] = picture
    return states, []


def _read(change: Change) -> Iterable[Item]:
    return read_groups(change, NAME, _news)


KIND = Field(name=NAME, read=_read, events=(GROUP, "account_event"), is_apart=True)
