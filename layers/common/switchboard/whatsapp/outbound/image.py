"""A picture."""

from __future__ import annotations

from typing import Literal

from switchboard.whatsapp.outbound._base import Reply
from switchboard.whatsapp.outbound._media import Captioned


class ImageMessage(Reply):
    """`{"type": "image", "image": {"id" | "link", "caption"?}}`: jpeg or png up to 5 MB."""

    type: Literal["image"] = "image"
    image: Captioned


MODEL = ImageMessage
