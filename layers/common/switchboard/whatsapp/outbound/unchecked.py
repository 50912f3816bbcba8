"""A message of a type that has no model here: Meta may know it, so it passes as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class UncheckedMessage:
    """Meta's object as the caller wrote it; `warnings` says that no limit of it was checked."""

    word: str
    raw: Mapping[str, Any]

    @property
    def type(self) -> str:
        """Meta's type; a kind of interactive message is no type of its own."""
        return self.word.partition(".")[0]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the caller should know."""
        return (f"messages of type {self.word} are passed to Meta unchecked",)

    def body(self) -> dict[str, Any]:
        """Return Meta's keys of the message, untouched."""
        return dict(self.raw)
