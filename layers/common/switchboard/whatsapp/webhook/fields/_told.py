"""How the management fields say what they say: the aspects of a state, and the event as a whole.

The document of such an event is {"f": field, "e": Meta's word for what happened, "x": the value as
sent, "s": {aspect: its new value}, and what names the subject}. An aspect is what Meta tells at
once and replaces at once; the database keeps (Meta's time, sha256 of the value) with each, and only
a greater pair overwrites it. The value as sent goes into the log of account events.
"""

from __future__ import annotations

import re
from typing import Any

from switchboard.kernel.phones import national_variant
from switchboard.whatsapp.storable import is_id
from switchboard.whatsapp.webhook.fields._field import Change, event
from switchboard.whatsapp.webhook.items import Event
from switchboard.whatsapp.webhook.payloads._read import Object, Odd
from switchboard.whatsapp.webhook.values import LONGEST_WORD

#: Keys of the envelope, wherever Meta puts them.
_ENVELOPE = frozenset({"messaging_product", "metadata", "field", "object"})

#: Meta's words for the daily limit of people written to (messaging limits): TIER_250, TIER_2K, …
_TIER = re.compile(r"TIER_([0-9]{1,9})(K?)")

UNLIMITED = -1


def told(
    change: Change,
    kind: str,
    field: str,
    word: str,
    states: dict[str, Any] | None = None,
    *,
    at: int | None = None,
    part: Object | None = None,
    shown: Any = None,
    **subject: Any,
) -> Event:
    """Return the event `kind` of `change`; `shown` is what the log keeps of it (default: all).

    `field` is the field's own name, whatever name the change came under. `subject` are the keys
    that name what the aspects in `states` belong to.
    """
    if shown is None:
        shown = {key: value for key, value in change.value.items() if key not in _ENVELOPE}
    detail = {"f": field, "e": word[:LONGEST_WORD], "x": shown, "s": states or {}, **subject}
    return event(change, kind, detail, at=at, part=part)


def word(value: Object, *keys: str) -> str:
    """Return the first of `keys` that is there, as a word; raises Odd where none is one."""
    for key in keys:
        found = value.get(key)
        if type(found) is str and found:
            return found
    raise Odd(f"{keys[0]} is missing or no word")


def optional_word(value: Object, key: str) -> str | None:
    """Return the word under `key`, None where it is missing, null or empty; else raises Odd."""
    found = value.get(key)
    if found is None or found == "":
        return None
    if type(found) is str:
        return found
    raise Odd(f"{key} is no word")


def optional_object(value: Object, key: str) -> Object | None:
    """Return the object under `key`, None where it is missing or null; else raises Odd."""
    found = value.get(key)
    if found is None or type(found) is dict:
        return found
    raise Odd(f"{key} is not an object")


def identifier(value: Object, key: str) -> str:
    """Return Meta's id under `key`, as text where Meta writes a number; raises Odd without one."""
    found = value.get(key)
    if type(found) is int:
        found = str(found)
    if is_id(found):
        return found
    raise Odd(f"{key} is missing or no id")


def parts(value: Object, key: str) -> list[Any]:
    """Return the list under `key`; raises Odd where there is none, or nothing in it."""
    found = value.get(key)
    if type(found) is list and found:
        return found
    raise Odd(f"{key} is missing, empty or not a list")


def phone_forms(value: Object) -> list[str]:
    """Return the forms under which the number `display_phone_number` may be registered.

    Meta writes it as people do (`+1 555-010-0021`), and Mexico's with or without the 1 after 52.
    Empty where the value names none.
    """
    said = value.get("display_phone_number")
    digits = re.sub(r"[^0-9]", "", str(said)) if type(said) in {str, int} else ""
    if not 7 <= len(digits) <= 15:
        return []
    short = national_variant(digits)
    forms = {digits, short}
    if len(short) == 12 and short.startswith("52"):
        forms.add("521" + short[2:])
    return sorted("+" + form for form in forms)


def limit(value: Any) -> Any:
    """Return a limit as a number, `UNLIMITED` for none; a word that is no tier stays as it is."""
    if type(value) is not str:
        return value
    if value == "TIER_UNLIMITED":
        return UNLIMITED
    tier = _TIER.fullmatch(value)
    if tier is None:
        return value
    return int(tier[1]) * (1000 if tier[2] else 1)
