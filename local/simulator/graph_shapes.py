"""The shapes that Meta checks a request for: texts, objects, lists, files, and its refusals.

Codes: 100 for what is unknown, of the wrong kind or too long; 131008 for what is missing inside a
message; 131009 for values that cannot be.
"""

from __future__ import annotations

import re
from typing import Any

from local.simulator.graph_errors import GraphRefusal

Json = dict[str, Any]


def missing(name: str) -> GraphRefusal:
    """131008 for that parameter."""
    return GraphRefusal(131008, details=f"The parameter {name} is required.")


def invalid(details: str) -> GraphRefusal:
    """131009 with those details."""
    return GraphRefusal(131009, details=details)


def unacceptable(message: str) -> GraphRefusal:
    """100 in those words."""
    return GraphRefusal(100, message=f"(#100) {message}", details=message)


def only_keys(value: Json, allowed: set[str], path: str) -> None:
    """Refuse a key that Meta does not know there."""
    for key in value:
        if key not in allowed:
            raise GraphRefusal(100, details=f'Unexpected key "{key}" on {path}.')


def text_of(
    parent: Json, key: str, limit: int, *, path: str = "", required: bool = True
) -> str | None:
    """Return the text there; empty counts as missing."""
    name = f"{path}['{key}']" if path else key
    value = parent.get(key)
    if value is None or value == "":
        if required:
            raise missing(name)
        return None
    if not isinstance(value, str):
        raise unacceptable(f"Param {name} must be a string.")
    if len(value) > limit:
        raise unacceptable(f"Param {name} must be at most {limit} characters long.")
    return value


def object_of(parent: Json, key: str, path: str) -> Json:
    """Return the object there."""
    value = parent.get(key)
    if value is None:
        raise missing(f"{path}['{key}']")
    if not isinstance(value, dict):
        raise unacceptable(f"Param {path}['{key}'] must be a JSON object.")
    return value


def list_of(parent: Json, key: str, path: str, most: int, *, least: int = 1) -> list[Json]:
    """Return the objects there."""
    value = parent.get(key)
    if value is None:
        raise missing(f"{path}['{key}']")
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise unacceptable(f"Param {path}['{key}'] must be an array of objects.")
    if not least <= len(value) <= most:
        raise invalid(f"{path}['{key}'] must hold {least} to {most} items.")
    return value


def number_of(parent: Json, key: str, path: str, least: int, most: int) -> int:
    """Return the whole number there."""
    value = parent.get(key)
    if value is None:
        raise missing(f"{path}['{key}']")
    if not isinstance(value, int) or isinstance(value, bool):
        raise unacceptable(f"Param {path}['{key}'] must be an integer.")
    if not least <= value <= most:
        raise invalid(f"{path}['{key}'] must be from {least} to {most}.")
    return value


def word_of(parent: Json, key: str, path: str, words: tuple[str, ...]) -> str:
    """Return the word there, one of `words`."""
    value = text_of(parent, key, 512, path=path)
    if value not in words:
        choices = ", ".join(words)
        raise unacceptable(f"Param {path}['{key}'] must be one of {{{choices}}}.")
    return str(value)


def address_of(parent: Json, key: str, path: str, *, required: bool = True) -> None:
    """Check the http or https address there."""
    link = text_of(parent, key, 4096, path=path, required=required)
    if link is not None and not re.match(r"https?://[^/\s]", link):
        raise invalid(f"{path}['{key}'] is not a valid http or https address.")


def file_of(content: Json, keys: set[str], path: str) -> None:
    """Check a file: an id or a link, and what may stand beside it."""
    only_keys(content, keys, f"param {path}")
    given = [key for key in ("id", "link") if content.get(key)]
    if not given:
        raise missing(f"{path}['id'] or {path}['link']")
    if len(given) == 2:
        raise unacceptable(f"Param {path} must have either id or link, not both.")
    address_of(content, "link", path, required=False)
    text_of(content, "caption", 1024, path=path, required=False)


def distinct(values: list[Any], path: str, what: str) -> None:
    """Refuse a list with one value twice."""
    if len(set(values)) < len(values):
        raise invalid(f"{path}: every {what} must be used once.")
