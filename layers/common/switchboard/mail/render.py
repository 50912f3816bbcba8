"""A template's texts with values in the places of its parameters, `{{name}}`.

In HTML a value is text: what would be a tag is shown. A subject is one line, whatever a value
holds. A value is never looked at for parameters again.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_PLACE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
NAME = re.compile(r"[a-z0-9_]{1,60}")
#: Characters of a subject (RFC 5322 wants lines below 998; nobody reads as much).
LONGEST_SUBJECT = 500
#: Characters of a text with its values: a template may name one a thousand times.
LONGEST_TEXT = 500_000


class Missing(Exception):
    """The template asks for a parameter that was not given; `args` holds its name."""


class TooLong(Exception):
    """A text would have more than LONGEST_TEXT characters with these values."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail's texts, as they go out."""

    subject: str
    text: str
    html: str | None


def names_in(*texts: str | None) -> set[str]:
    """Return the parameters of a template; raises ValueError for a place that names none."""
    found = {name for text in texts if text for name in _PLACE.findall(text)}
    for name in found:
        if not NAME.fullmatch(name):
            raise ValueError("a parameter is {{name}}, of small letters, digits and _")
    return found


def render(subject: str, text: str, html_text: str | None, values: Mapping[str, str]) -> Rendered:
    """Return the texts with their values; raises Missing, TooLong."""
    return Rendered(
        one_line(_fill(subject, values, str))[:LONGEST_SUBJECT],
        _fill(text, values, _clean),
        None if html_text is None else _fill(html_text, values, _escape),
    )


def one_line(text: str) -> str:
    """Return `text` without ends of lines and other controls: it becomes a header."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _fill(text: str, values: Mapping[str, str], as_is: Callable[[str], str]) -> str:
    length = len(text)

    def told(place: re.Match[str]) -> str:
        nonlocal length
        name = place[1]
        if name not in values:
            raise Missing(name)
        value = as_is(values[name])
        length += len(value)
        if length > LONGEST_TEXT:
            raise TooLong
        return value

    return _PLACE.sub(told, text)


def _clean(value: str) -> str:
    # Postgres has no text that holds a NUL.
    return value.replace("\0", "")


def _escape(value: str) -> str:
    return html.escape(_clean(value), quote=True)
