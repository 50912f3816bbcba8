"""Phone numbers as Meta writes them: digits, without `+`, in one form per person."""

from __future__ import annotations

import re

#: The only shape that is checked: Meta's own ids, such as 5215550001234, are numbers that
#: phonenumbers calls impossible.
_SHAPE = re.compile(r"\+?([1-9][0-9]{6,14})")


def digits(text: str) -> str | None:
    """Return the digits of 7 to 15, with or without `+`; None for any other text."""
    match = _SHAPE.fullmatch(text)
    return match[1] if match else None


def national_variant(number: str) -> str:
    """Return the one form under which a number is kept where Meta writes several.

    Mexico's mobile 521 + ten digits is 52 + the same ten, always. (Other countries' variants need
    Meta's own answer to tell, and are learned when sending.)
    """
    if len(number) == 13 and number.startswith("521"):
        return "52" + number[3:]
    return number
