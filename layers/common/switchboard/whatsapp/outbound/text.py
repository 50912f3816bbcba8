"""Plain text."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from switchboard.whatsapp.outbound._base import Part, Reply
from switchboard.whatsapp.outbound._limits import at_most


class Text(Part):
    """Cloud API, Messages, text object: at most 4,096 characters, its first link with a preview."""

    body: Annotated[str, Field(min_length=1), at_most(4_096)]
    preview_url: bool | None = None


class TextMessage(Reply):
    """`{"type": "text", "text": {"body", "preview_url"?}}`."""

    type: Literal["text"] = "text"
    text: Text


MODEL = TextMessage
