"""A film."""

from __future__ import annotations

from typing import Literal

from switchboard.whatsapp.outbound._base import Reply
from switchboard.whatsapp.outbound._media import Captioned


class VideoMessage(Reply):
    """`{"type": "video", "video": {"id" | "link", "caption"?}}`: mp4 or 3gp up to 16 MB."""

    type: Literal["video"] = "video"
    video: Captioned


MODEL = VideoMessage
