"""Sound."""

from __future__ import annotations

from typing import Literal

from switchboard.whatsapp.outbound._base import Reply
from switchboard.whatsapp.outbound._media import Media


class Audio(Media):
    """Cloud API, Messages, audio: up to 16 MB and no caption.

    `voice` shows it as a voice note; Meta wants ogg with the opus codec for it.
    """

    voice: bool | None = None


class AudioMessage(Reply):
    """`{"type": "audio", "audio": {"id" | "link", "voice"?}}`."""

    type: Literal["audio"] = "audio"
    audio: Audio


MODEL = AudioMessage
