"""A business-scoped user id that Meta has replaced: the person is the same.

(Webhooks, user_id_update: previous and current id, of the person and of the parent business.)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from switchboard.kernel.phones import digits, national_variant
from switchboard.whatsapp.storable import is_id
from switchboard.whatsapp.webhook.fields._field import Change, Field, Odd, event, odd
from switchboard.whatsapp.webhook.items import Item
from switchboard.whatsapp.webhook.values import seconds

_NAME = "user_id_update"


def _is_mine(value: dict[str, Any]) -> bool:
    return _NAME in value


def _read(change: Change) -> Iterable[Item]:
    updates = change.value.get(_NAME, [])
    if type(updates) is not list:
        raise Odd("user_id_update is not a list")
    for one in updates:
        try:
            yield _update(change, one)
        except Odd as reason:
            yield odd(change, one, str(reason))


def _update(change: Change, one: Any) -> Item:
    if type(one) is not dict:
        raise Odd("an update is not an object")
    at = seconds(one.get("timestamp"))
    at = change.entry_time if at is None else at
    if at is None:
        raise Odd("an update's timestamp is no time in Unix seconds")
    wa_id = one.get("wa_id")
    number = digits(wa_id) if type(wa_id) is str else None
    identifiers: list[dict[str, str]] = []
    if number is not None:
        identifiers.append({"k": "phone", "v": national_variant(number)})
    told: list[tuple[str, str, str]] = []
    for kind in ("user_id", "parent_user_id"):
        ids = one.get(kind)
        if type(ids) is not dict:
            continue
        current, previous = ids.get("current"), ids.get("previous")
        for value in (current, previous):
            if is_id(value) and {"k": kind, "v": value} not in identifiers:
                identifiers.append({"k": kind, "v": value})
        if is_id(current) and current != previous:
            told.append((kind, previous if is_id(previous) else "", current))
    if not told:
        raise Odd("an update has no new id")
    named = identifiers[0]["v"] if number is not None else told[0][1] or told[0][2]
    detail: dict[str, Any] = {
        "i": identifiers,
        "x": [
            {"s": _NAME, "k": kind, "n": named, "o": previous, "v": current, "t": at}
            for kind, previous, current in told
        ],
    }
    if number is not None:
        detail["ph"] = national_variant(number)
    return event(change, _NAME, detail, at=at, part={_NAME: [one]})


KIND = Field(name=_NAME, read=_read, events=(_NAME,), is_mine=_is_mine)
