"""A sticker."""

from __future__ import annotations

from typing import Literal

from switchboard.whatsapp.outbound._base import Reply
from switchboard.whatsapp.outbound._media import Media


class StickerMessage(Reply):
    """`{"type": "sticker", "sticker": {"id" | "link"}}`: webp, 100 KB or, animated, 500 KB."""

    type: Literal["sticker"] = "sticker"
    sticker: Media


MODEL = StickerMessage
