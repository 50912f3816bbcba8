"""Phone numbers as Meta writes them: digits, without `+`, in one form per person."""

from __future__ import annotations

import re

#: The only shape that is checked: Meta's own ids, such as 5215550001234, are numbers that
#: phonenumbers calls impossible.
_SHAPE = re.compile(r"\+?([1-9][0-9]{6,14})")
#: Brazil without the ninth digit: area code, then eight digits, of which a mobile's begin with 6 to
#: 9. Those that begin with 2 to 5 are fixed lines (Anatel's plan), and numbers of their own.
_BRAZIL_SHORT = re.compile(r"55([1-9][1-9])([6-9][0-9]{7})")


def digits(text: str) -> str | None:
    """Return the digits of 7 to 15, with or without `+`; None for any other text."""
    match = _SHAPE.fullmatch(text)
    return match[1] if match else None


def national_variant(number: str) -> str:
    """Return the one form under which a number is kept where Meta writes several.

    Mexico's mobile 521 + ten digits is 52 + the same ten, always. Brazil's mobiles get their ninth
    digit where it is missing and the shorter form is no valid fixed line. Argentina's 549 and 54
    may be two people: only Meta's own answer tells (`told_alike`).
    """
    if number[:2] == "52":
        if len(number) == 13 and number[2] == "1":
            return "52" + number[3:]
    elif number[:2] == "55" and len(number) == 12:
        match = _BRAZIL_SHORT.fullmatch(number)
        if match is not None:
            return f"55{match[1]}9{match[2]}"
    return number


def told_alike(asked: str, answered: str) -> bool:
    """Return whether Meta's answer to a send, `input` -> `wa_id`, makes two forms one person's.

    Only Argentina's mobile prefix is learned in this way: 549 + ten digits and 54 + the same ten.
    Whatever else Meta may answer (another number altogether) says nothing of who it is.
    """
    short, long = sorted((asked.removeprefix("+"), answered), key=len)
    return len(short) == 12 and short.startswith("54") and long == "549" + short[2:]
