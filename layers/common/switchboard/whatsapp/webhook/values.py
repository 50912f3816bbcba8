"""Ids, words and times as every part of a webhook writes them."""

from __future__ import annotations

from typing import Any

from switchboard.whatsapp.storable import LONGEST_ID, is_id

LONGEST_WORD = 100
"""Characters of a message type or a status: words of Meta's vocabularies, not text."""

EARLIEST = 946_684_800
LATEST = 4_102_444_800
"""Unix seconds of 2000 and 2100: a time outside is no time in seconds (milliseconds, 0, …)."""


def seconds(value: Any) -> int | None:
    """Return Meta's Unix seconds (a string, in some fields a number), None for anything else."""
    if type(value) is str and len(value) <= 20 and value.isascii() and value.isdigit():
        value = int(value)
    if type(value) is int and EARLIEST <= value < LATEST:
        return value
    return None


def id_or_none(value: Any) -> str | None:
    return value if value is not None and is_id(value) else None


def bad_id(key: str, value: Any) -> str:
    if type(value) is str and value:
        return f"{key} is longer than {LONGEST_ID} bytes"
    return f"{key} is missing or not a string"


def bad_time(value: Any) -> str:
    if value is None:
        return "timestamp is missing"
    if type(value) in {str, int}:
        return f"timestamp {str(value)[:24]!r} is no time in Unix seconds"
    return "timestamp is not Unix seconds"
