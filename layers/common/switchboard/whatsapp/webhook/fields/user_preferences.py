"""What people told WhatsApp about this business's marketing messages: stop, and back again.

(Webhooks, user_preferences: only marketing; after `stop` Meta refuses marketing with 131050.)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from switchboard.kernel.phones import digits, national_variant
from switchboard.whatsapp.storable import is_id
from switchboard.whatsapp.webhook.fields._field import Change, Field, Odd, event, odd
from switchboard.whatsapp.webhook.items import Item
from switchboard.whatsapp.webhook.values import seconds

#: Meta's value -> our state; `signup` is an opt-in through one of Meta's own surfaces.
_STATES = {"stop": "withdrawn", "resume": "given", "signup": "given"}
_LONGEST = 500


def _is_mine(value: dict[str, Any]) -> bool:
    return "user_preferences" in value


def _read(change: Change) -> Iterable[Item]:
    preferences = change.value.get("user_preferences", [])
    if type(preferences) is not list:
        raise Odd("user_preferences is not a list")
    for one in preferences:
        try:
            yield _preference(change, one)
        except Odd as reason:
            yield odd(change, one, str(reason))


def _preference(change: Change, one: Any) -> Item:
    if type(one) is not dict:
        raise Odd("a preference is not an object")
    if one.get("category") != "marketing_messages":
        raise Odd("a preference's category is unknown")
    value = one.get("value")
    state = _STATES.get(value) if type(value) is str else None
    if state is None:
        raise Odd("a preference's value is unknown")
    phone = one.get("wa_id")
    phone = digits(phone) if type(phone) is str else None
    phone = None if phone is None else national_variant(phone)
    identifiers = [] if phone is None else [{"k": "phone", "v": phone}]
    identifiers += [
        {"k": kind, "v": one[kind]}
        for kind in ("user_id", "parent_user_id")
        if kind in one and is_id(one[kind])
    ]
    if not identifiers:
        raise Odd("a preference names nobody")
    at = seconds(one.get("timestamp"))
    if at is None:
        raise Odd("a preference's timestamp is no time in Unix seconds")
    words = one.get("detail")
    detail: dict[str, Any] = {"i": identifiers, "s": state}
    if phone is not None:
        detail["ph"] = phone
    if type(words) is str and words:
        detail["w"] = words[:_LONGEST]
    return event(change, "user_preferences", detail, at=at, part={"user_preferences": [one]})


KIND = Field(name="user_preferences", read=_read, events=("user_preferences",), is_mine=_is_mine)
