"""People came into a group, left it, or ask to be let in (field group_participants_update).

Those whom Meta could not add or remove, and requests to join, are kept in the event.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from switchboard.kernel.phones import digits, national_variant
from switchboard.whatsapp.storable import is_id
from switchboard.whatsapp.webhook.fields._field import Change, Field
from switchboard.whatsapp.webhook.fields._groups import KIND as GROUP
from switchboard.whatsapp.webhook.fields._groups import News, read_groups
from switchboard.whatsapp.webhook.items import Item
from switchboard.whatsapp.webhook.payloads._read import Object, Odd

NAME = "group_participants_update"


def _news(group: Object) -> News:
    people = [
        (_who(person), came)
        for key, came in (("added_participants", True), ("removed_participants", False))
        for person in _list(group, key)
    ]
    return {}, people


def _list(group: Object, key: str) -> list[Any]:
    found = group.get(key)
    if found is None or type(found) is list:
        return found or []
    raise Odd(f"{key} is not a list")


def _who(person: Any) -> str:
    """Return how a participant is known: the phone number, else the business-scoped user id."""
    if type(person) is dict:
        for key in ("wa_id", "user_id"):
            value = person.get(key)
            if type(value) is int:  # as in Meta's own example
                value = str(value)
            if is_id(value) and len(value) <= 200:
                number = digits(value)
                return national_variant(number) if number else value
    raise Odd("a participant has no id")


def _read(change: Change) -> Iterable[Item]:
    return read_groups(change, NAME, _news)


KIND = Field(name=NAME, read=_read, events=(GROUP, "account_event"), is_apart=True)
