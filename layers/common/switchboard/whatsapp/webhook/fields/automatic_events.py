"""Purchases and leads that Meta detects in a chat begun by an ad (field automatic_events)."""

from __future__ import annotations

from collections.abc import Iterable

from switchboard.whatsapp.webhook.fields._field import Change, Field, odd
from switchboard.whatsapp.webhook.fields._told import parts, told, word
from switchboard.whatsapp.webhook.items import Item
from switchboard.whatsapp.webhook.payloads._read import Odd
from switchboard.whatsapp.webhook.values import seconds

NAME = "automatic_events"


def _read(change: Change) -> Iterable[Item]:
    for part in parts(change.value, NAME):
        try:
            if type(part) is not dict:
                raise Odd("an event is not an object")
            yield told(
                change,
                "account_event",
                NAME,
                word(part, "event_name"),
                at=seconds(part.get("timestamp")),
                part={NAME: [part]},
                shown=part,
            )
        except Odd as problem:
            yield odd(change, part, str(problem))


KIND = Field(name=NAME, read=_read, events=("account_event",), is_apart=True)
