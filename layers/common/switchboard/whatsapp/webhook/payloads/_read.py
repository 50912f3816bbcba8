"""How a payload takes its values out of Meta's object: the wrong kind of value raises `Odd`."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
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


def seconds(content: Object, key: str) -> int | None:
    """Return the Unix seconds under `key`, a number or digits; None where it is missing or null."""
    value = content.get(key)
    if value is None:
        return None
    if type(value) is str and value.isascii() and value.isdigit() and len(value) <= 10:
        value = int(value)
    if type(value) is not int or not 0 <= value < 10**10:
        raise Odd(f"{key} is no time in Unix seconds")
    return value


def whole(content: Object, key: str) -> int:
    """Return the whole number from 0 to a thousand million under `key`; digits will do."""
    value = content.get(key)
    if type(value) is str and value.isascii() and value.isdigit() and len(value) <= 10:
        value = int(value)
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or not 0 <= value <= 10**9:
        raise Odd(f"{key} is {'missing' if value is None else 'no whole number in range'}")
    return value


def amount(content: Object, key: str) -> Decimal | None:
    """Return the amount of money under `key`, a number or its digits; None where it is missing.

    Meta writes a JSON number: the shortest decimal that reads as the same float is what was sent.
    Beyond 12 decimals there is only what a float adds to a price that was calculated.
    """
    value = content.get(key)
    if value is None:
        return None
    if type(value) not in {int, float, str}:
        raise Odd(f"{key} is not a number")
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        raise Odd(f"{key} is not a number") from None
    if not (found.is_finite() and 0 <= found < 10**12):
        raise Odd(f"{key} is out of range")
    return round(found, 12) if int(found.as_tuple().exponent) < -12 else found
