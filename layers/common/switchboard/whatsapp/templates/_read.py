"""JSON of unknown shape, read without surprises: what is of another kind counts as absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]


def object_in(value: Any) -> Json:
    """Return an object, an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def list_in(value: Any) -> list[Any]:
    """Return a list, an empty one for anything else."""
    return value if isinstance(value, list) else []


def text_in(value: Any) -> str | None:
    """Return a text that is not empty, None for anything else."""
    return value if isinstance(value, str) and value else None


def word_in(value: Any) -> str:
    """Return a word of Meta's in small letters, an empty one for anything else."""
    return value.lower() if isinstance(value, str) else ""


def number_in(value: Any) -> int | None:
    """Return a whole number, written as such or as a string of digits."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
