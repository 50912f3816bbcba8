"""What Postgres' jsonb, its indexes and orjson cannot hold although it is (nearly) JSON.

jsonb refuses `\\u0000` and lone surrogates, orjson writes no number over 64 bits, turns an infinite
one into null and stops at 254 levels. Such a value is found here, before a statement fails for it.
"""

from __future__ import annotations

import json
from math import isfinite
from typing import Any, TypeGuard

import orjson

DEEPEST = 200
"""Levels of one value; the rest of orjson's 254 belongs to the document it is put into."""

LONGEST_ID = 1_000
"""Bytes of an id or of any other word that becomes part of a key: an index entry holds 2,704."""


def is_id(value: object) -> TypeGuard[str]:
    """Return whether `value` can be an id: a string, not empty, of sane length. No prefix rule."""
    if type(value) is not str or not value:
        return False
    if value.isascii():
        return len(value) <= LONGEST_ID
    return len(value.encode("utf-8", "surrogatepass")) <= LONGEST_ID


def unfit(value: Any) -> str | None:
    """Return why `value` (anything a JSON reader gives) cannot be stored, None if it can."""
    stack = [(value, 1)]
    while stack:
        node, depth = stack.pop()
        if isinstance(node, str):
            reason = _unfit_text(node)
        elif isinstance(node, dict):
            reason = next(filter(None, map(_unfit_text, node)), None)
            stack.extend((child, depth + 1) for child in node.values())
        elif isinstance(node, list):
            reason = None
            stack.extend((child, depth + 1) for child in node)
        else:
            reason = _unfit_number(node)
        if reason is None and depth > DEEPEST:
            reason = f"nested deeper than {DEEPEST} levels"
        if reason is not None:
            return reason
    return None


def has_infinite(value: Any) -> bool:
    """Return whether a number of `value` is beyond a float: what was read is not what was sent."""
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
        elif isinstance(node, float) and not isfinite(node):
            return True
    return False


def _unfit_text(text: str) -> str | None:
    if "\0" in text:
        return "holds \\u0000"
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds a lone surrogate"
    return None


def _unfit_number(number: Any) -> str | None:
    if isinstance(number, float) and not isfinite(number):
        return "holds a number that is not finite"
    if isinstance(number, int) and not -(2**63) <= number < 2**64:
        return "holds a number of more than 64 bits"
    return None


def dump(value: Any) -> bytes:
    """Return `value` as JSON bytes, ASCII escapes where orjson refuses it.

    Raises RecursionError for a value that is nested too deep for any writer.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode("ascii")
