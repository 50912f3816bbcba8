"""What Meta tells us of without handing it over: a type it does not support, a file that failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from switchboard.whatsapp.webhook.payloads._read import Object


@dataclass(frozen=True, slots=True)
class Fault:
    """One of Meta's error objects, as far as it says something: code and title."""

    code: int | None
    title: str | None


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A message without its content (Webhooks, messages, unsupported; error 131051, 131052, …).

    `type` is Meta's word for the message: unsupported, the old unknown, or a real type whose
    content Meta could not give (an image that failed, an interactive reply of tomorrow). `kind` is
    what it would have been (poll_creation), where Meta says so.
    """

    WORDS: ClassVar = ("unsupported", "unknown")

    type: str
    kind: str | None
    faults: tuple[Fault, ...]

    @classmethod
    def read(cls, word: str, content: Object) -> Unsupported:
        """Read `unsupported: {type?}`; what is wrong stands beside it: `of_message` reads both."""
        return cls.of_message(word, {word: content})

    @classmethod
    def of_message(cls, word: str, message: Object) -> Unsupported:
        """Read a message that may have an object named by its type, and `errors`."""
        said = message.get(word)
        kind = said.get("type") if type(said) is dict and word in cls.WORDS else None
        errors = message.get("errors")
        return cls(
            word,
            kind if type(kind) is str else None,
            tuple(_fault(error) for error in errors if type(error) is dict)
            if type(errors) is list
            else (),
        )


def _fault(error: dict[str, Any]) -> Fault:
    code, title = error.get("code"), error.get("title")
    return Fault(code if type(code) is int else None, title if type(title) is str else None)
