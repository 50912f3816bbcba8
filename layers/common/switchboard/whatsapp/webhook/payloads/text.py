"""Plain text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from switchboard.whatsapp.webhook.payloads._read import Object, text


@dataclass(frozen=True, slots=True)
class Text:
    """What a person typed (Webhooks, messages, text). Unbounded: inbound may exceed 4,096."""

    WORDS: ClassVar = ("text",)

    body: str

    @classmethod
    def read(cls, word: str, content: Object) -> Text:  # noqa: ARG003 - one signature for all
        """Read `text: {body}`."""
        return cls(text(content, "body"))
