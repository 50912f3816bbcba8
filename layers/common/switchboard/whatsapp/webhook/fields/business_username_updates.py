"""The user name of a business number (field business_username_updates, since 2026).

Its whole shape is not documented: what names no number is kept as an event of the account.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from switchboard.whatsapp.webhook.fields._field import Change, Field
from switchboard.whatsapp.webhook.fields._numbers import KIND as NUMBER
from switchboard.whatsapp.webhook.fields._numbers import number_event
from switchboard.whatsapp.webhook.fields._told import optional_word, phone_forms, told
from switchboard.whatsapp.webhook.items import Item

NAME = "business_username_updates"


def _read(change: Change) -> Iterable[Item]:
    value = change.value
    username = optional_word(value, "username")
    status = optional_word(value, "status")
    event = status or "USERNAME"
    if change.phone_number_id is None and not phone_forms(value):
        return [told(change, "account_event", NAME, event)]
    said: dict[str, Any] = {"username": username and username.removeprefix("@"), "status": status}
    return [number_event(change, NAME, event, {"username": said})]


KIND = Field(name=NAME, read=_read, events=(NUMBER, "account_event"))
