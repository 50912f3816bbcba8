"""Messages typed in the Business app on the number's phone: somebody there has answered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from switchboard.whatsapp.webhook.fields._field import Change, Field, Odd
from switchboard.whatsapp.webhook.fields._phone_app import copy_of
from switchboard.whatsapp.webhook.items import Item


def is_mine(value: dict[str, Any]) -> bool:
    """Return whether `value` holds echoes, whatever field it names."""
    return "message_echoes" in value


def read(change: Change) -> Iterable[Item]:
    """Yield each echo of a change; raises Odd for a change without a list of them."""
    echoes = change.value.get("message_echoes", [])
    if type(echoes) is not list:
        raise Odd("message_echoes is not a list")
    for echo in echoes:
        yield copy_of(change, echo, {"message_echoes": [echo]}, origin="phone_app")


KIND = Field(
    name="smb_message_echoes",
    read=read,
    events=("phone_app_message",),
    is_mine=is_mine,
    is_apart=True,
)
