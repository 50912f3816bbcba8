"""What the four group fields share: `groups[]`, each the news of one group."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from switchboard.whatsapp.webhook.fields._field import Change, odd
from switchboard.whatsapp.webhook.fields._told import identifier, parts, told, word
from switchboard.whatsapp.webhook.items import Item
from switchboard.whatsapp.webhook.payloads._read import Object, Odd
from switchboard.whatsapp.webhook.values import seconds

KIND = "group"

#: What a group's news tells: its aspects, and the people who came (true) or left (false).
News = tuple[dict[str, Any], list[tuple[str, bool]]]


def read_groups(change: Change, field: str, news: Callable[[Object], News]) -> Iterable[Item]:
    """Return the items of `groups[]`; `news` tells what a group's object says.

    What failed before there was a group has no group_id: an event of the number.
    """
    for group in parts(change.value, "groups"):
        part = {"groups": [group]}
        try:
            if change.phone_number_id is None:
                raise Odd("metadata.phone_number_id is missing")
            if type(group) is not dict:
                raise Odd("a group is not an object")
            event = word(group, "type")
            at = seconds(group.get("timestamp"))
            if group.get("group_id") is None:
                yield told(change, "account_event", field, event, at=at, part=part, shown=group)
                continue
            states, people = news(group)
            yield told(
                change,
                KIND,
                field,
                event,
                states,
                at=at,
                part=part,
                shown=group,
                group=identifier(group, "group_id"),
                people=[{"who": who, "came": came} for who, came in people],
            )
        except Odd as problem:
            yield odd(change, group, str(problem))
