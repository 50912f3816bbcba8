"""What we send: pydantic models that are Meta's request body, one file per type.

To add a message type:
1. add a file beside `text.py` with a model (`Reply` if it may answer a message) whose `type` is
   Meta's word, its limits with their source in the docstring,
2. add the model to `Message` in `request.py`,
3. add `tests/payloads/outbound/<type>.json`, the whole body Meta gets, and its line in
   `tests/unit/test_whatsapp_outbound.py`.
"""

from __future__ import annotations

from switchboard.whatsapp.errors import InvalidMessage
from switchboard.whatsapp.outbound._base import CheckedMessage, Context, Reply
from switchboard.whatsapp.outbound.image import Image, ImageMessage
from switchboard.whatsapp.outbound.reaction import Reaction, ReactionMessage
from switchboard.whatsapp.outbound.request import Message, read, request_body
from switchboard.whatsapp.outbound.text import Text, TextMessage
from switchboard.whatsapp.outbound.unchecked import UncheckedMessage

__all__ = [
    "CheckedMessage",
    "Context",
    "Image",
    "ImageMessage",
    "InvalidMessage",
    "Message",
    "Reaction",
    "ReactionMessage",
    "Reply",
    "Text",
    "TextMessage",
    "UncheckedMessage",
    "read",
    "request_body",
]
