"""Copies of messages in threads that another app owns (field standby).

Each is kept whole as an event of the number, and is no message of ours: nothing may answer it, it
opens no window, and if the thread becomes ours its messages come as messages.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from switchboard.whatsapp.webhook.fields._field import Change, Field, odd
from switchboard.whatsapp.webhook.fields._told import optional_object, parts, told, word
from switchboard.whatsapp.webhook.items import Item
from switchboard.whatsapp.webhook.payloads._read import Object, Odd
from switchboard.whatsapp.webhook.values import seconds

NAME = "standby"


def _read(change: Change) -> Iterable[Item]:
    said = optional_object(change.value, NAME) or {}
    contacts = said.get("contacts")
    people = contacts if type(contacts) is list else []
    rest = {key: part for key, part in said.items() if part and key != "messages"}
    named: list[Any] = []
    for message in parts(said, "messages"):
        try:
            if type(message) is not dict:
                raise Odd("message is not an object")
            mine: Object = {"contacts": _of(message, people), "messages": [message]}
            named += mine["contacts"]
            yield told(
                change,
                "account_event",
                NAME,
                word(message, "type"),
                at=seconds(message.get("timestamp")),
                part={NAME: mine},
                shown=mine,
            )
        except Odd as problem:
            yield odd(change, message, str(problem))
    if people:
        rest["contacts"] = [person for person in people if person not in named]
    if any(rest.values()):
        yield odd(change, {NAME: rest}, "stands beside the messages")


def _of(message: Object, people: list[Any]) -> list[Any]:
    """Return the contacts[] entries of the message's sender."""
    if len(people) == 1:
        return people
    ids = {message.get(key) for key in ("from", "from_user_id") if type(message.get(key)) is str}
    return [
        person
        for person in people
        if type(person) is dict
        and any(type(i) is str and i in ids for i in (person.get("wa_id"), person.get("user_id")))
    ]


KIND = Field(name=NAME, read=_read, events=("account_event",), is_apart=True)
