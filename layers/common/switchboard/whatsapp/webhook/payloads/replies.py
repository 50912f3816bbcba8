"""Taps on the buttons and lists of our messages. A URL button reports no tap at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from switchboard.whatsapp.webhook.payloads._read import Object, optional_text, text


@dataclass(frozen=True, slots=True)
class Button:
    """A tap on a template's quick reply (Webhooks, messages, button).

    `payload` is what was passed when sending, else Meta repeats the label.
    """

    WORDS: ClassVar = ("button",)

    payload: str
    text: str

    @classmethod
    def read(cls, word: str, content: Object) -> Button:  # noqa: ARG003 - one signature for all
        """Read `button: {payload?, text}`."""
        label = text(content, "text")
        payload = optional_text(content, "payload")
        return cls(label if payload is None else payload, label)


@dataclass(frozen=True, slots=True)
class ButtonReply:
    """A tap on a reply button of a free-form message (Webhooks, messages, interactive)."""

    WORDS: ClassVar = ("interactive.button_reply",)

    id: str
    title: str

    @classmethod
    def read(cls, word: str, content: Object) -> ButtonReply:  # noqa: ARG003 - one signature
        """Read `button_reply: {id, title}`."""
        return cls(text(content, "id"), text(content, "title"))


@dataclass(frozen=True, slots=True)
class ListReply:
    """A row picked from a list message (Webhooks, messages, interactive)."""

    WORDS: ClassVar = ("interactive.list_reply",)

    id: str
    title: str
    description: str | None

    @classmethod
    def read(cls, word: str, content: Object) -> ListReply:  # noqa: ARG003 - one signature for all
        """Read `list_reply: {id, title, description?}`."""
        return cls(
            text(content, "id"), text(content, "title"), optional_text(content, "description")
        )
