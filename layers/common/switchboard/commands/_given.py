"""What is too long for a command line: given as it is, or as @ and the path of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import orjson
from pydantic import BeforeValidator


def _text(value: Any) -> Any:
    if not isinstance(value, str) or not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the file cannot be read: {type(error).__name__}") from None


def as_object(value: Any) -> Any:
    """Return what a text holds as JSON, or the file that it names with @; raises ValueError."""
    text = _text(value)
    if not isinstance(text, str):
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise ValueError("must be a JSON object, or @ and a file with one") from None


#: A text, or @ and the path of a file with it.
Text = Annotated[str, BeforeValidator(_text)]
#: A JSON object, or @ and the path of a file with one.
Object = Annotated[dict[str, Any], BeforeValidator(as_object)]
