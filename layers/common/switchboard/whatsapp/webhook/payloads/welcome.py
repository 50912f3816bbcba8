"""Somebody opened the chat for the first time and has said nothing yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from switchboard.whatsapp.webhook.payloads._read import Object


@dataclass(frozen=True, slots=True)
class RequestWelcome:
    """The chat was opened (Webhooks, messages, request_welcome): no content. Opens the window."""

    WORDS: ClassVar = ("request_welcome",)

    @classmethod
    def read(cls, word: str, content: Object) -> RequestWelcome:  # noqa: ARG003 - one signature
        """Read nothing: the word says it all."""
        return cls()
