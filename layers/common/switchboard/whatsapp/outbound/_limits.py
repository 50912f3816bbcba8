"""Meta's limits on text: refused is only what no reading of a limit allows.

Meta says "characters" and not which, and its sources name different numbers for some fields. So a
text is refused where it is over the loosest source's limit however it is counted: its graphemes
(what people see as one character, Unicode's annex 29) are the fewest. It goes out with a warning
where it is over the strictest source's limit in any way: its UTF-16 units are the most. Code
points are between the two.
"""

from __future__ import annotations

from typing import Final

from pydantic import AfterValidator, ValidationInfo
from pydantic_core import PydanticCustomError

STRICTLY: Final = "strictly"
"""A validation with this as its context refuses whatever Meta may refuse: the warnings."""


def strictly(info: ValidationInfo) -> bool:
    """Return whether this validation looks for what is only doubtful."""
    return info.context == STRICTLY


def at_most(loosest: int, strictest: int | None = None) -> AfterValidator:
    """Return the check of a text against the limits of the loosest and the strictest source."""
    safe = loosest if strictest is None else strictest

    def check(text: str, info: ValidationInfo) -> str:
        units = utf16_units(text)
        if units <= safe:
            return text
        if strictly(info):
            raise PydanticCustomError(
                "doubtful",
                "has {units} UTF-16 units, and the strictest limit known is {limit}",
                {"units": units, "limit": safe},
            )
        # No text has more graphemes than code points: only a long one is worth counting.
        if len(text) > loosest and (length := graphemes(text)) > loosest:
            raise PydanticCustomError(
                "text_too_long",
                "has {length} characters, the limit is {limit}",
                {"length": length, "limit": loosest},
            )
        return text

    return AfterValidator(check)


def utf16_units(text: str) -> int:
    """Return the length as JavaScript and Java count it."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def graphemes(text: str) -> int:
    """Return the length as people count it: extended grapheme clusters."""
    # 20 ms of a cold start, for the rare text that needs it.
    import regex

    return len(regex.findall(r"\X", text))


def rule(reason: str) -> PydanticCustomError:
    """Return the refusal of a value that breaks a rule of Meta's; `reason` follows its name."""
    return PydanticCustomError("rule", "{reason}", {"reason": reason})


def doubt(reason: str) -> PydanticCustomError:
    """Return what Meta may refuse; to be raised only where `strictly`."""
    return PydanticCustomError("doubtful", "{reason}", {"reason": reason})
