"""What nothing reads yet, or what cannot be read: kept whole all the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from switchboard.whatsapp.webhook.payloads._read import Object


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message whose type has no class here (`reason` None), or whose object is odd (`reason`).

    Meta adds types without a version bump, so this is no error: the message is stored under Meta's
    own word with its content untouched.
    """

    WORDS: ClassVar[tuple[str, ...]] = ()

    type: str
    reason: str | None = None

    @classmethod
    def read(cls, word: str, content: Object) -> Unknown:  # noqa: ARG003 - one signature for all
        """Keep the word only; the message has the content."""
        return cls(word)
