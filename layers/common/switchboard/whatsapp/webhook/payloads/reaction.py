"""An emoji under a message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from switchboard.whatsapp.storable import is_id
from switchboard.whatsapp.webhook.payloads._read import Object, Odd, optional_text, text


@dataclass(frozen=True, slots=True)
class Reaction:
    """A reaction to the message `message_id`; `emoji` None means that it was taken back.

    Webhooks, messages, reaction: a removal leaves `emoji` out; some real payloads have it empty.
    """

    WORDS: ClassVar = ("reaction",)

    message_id: str
    emoji: str | None

    @classmethod
    def read(cls, word: str, content: Object) -> Reaction:  # noqa: ARG003 - one signature for all
        """Read `reaction: {message_id, emoji?}`."""
        message_id = text(content, "message_id")
        if not is_id(message_id):
            raise Odd("message_id is empty or too long")
        return cls(message_id, optional_text(content, "emoji") or None)
