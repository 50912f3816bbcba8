"""How a payload takes its values out of Meta's object: the wrong kind of value raises `Odd`."""

from __future__ import annotations

from typing import Any

from switchboard.kernel.errors import SwitchboardError

Object = dict[str, Any]


class Odd(SwitchboardError):
    """Meta's object is not of the shape its type promises; the text says what is odd.

    Never leaves the parser: the message is kept whole with an Unknown payload and this reason.
    """


def text(content: Object, key: str) -> str:
    """Return the string under `key`; anything else, or nothing, is odd."""
    value = content.get(key)
    if type(value) is str:
        return value
    raise Odd(f"{key} is {'missing' if value is None else 'not a string'}")


def optional_text(content: Object, key: str) -> str | None:
    """Return the string under `key`, None where it is missing or null; anything else is odd."""
    value = content.get(key)
    if value is None or type(value) is str:
        return value
    raise Odd(f"{key} is not a string")


def flag(content: Object, key: str) -> bool:
    """Return whether `key` holds true; whatever else Meta may put there is not true."""
    return content.get(key) is True


def number_between(content: Object, key: str, low: float, high: float) -> float:
    """Return the number under `key` within both bounds; a string or a boolean is odd."""
    value = content.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Odd(f"{key} is {'missing' if value is None else 'not a number'}")
    if not low <= value <= high:
        raise Odd(f"{key} is out of range")
    return float(value)
