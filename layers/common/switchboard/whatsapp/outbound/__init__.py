"""What we send: pydantic models that are Meta's request body, one file per type.

To add a message type:
1. add a file beside `text.py` with a model (`Reply` if it may answer a message) whose `type` is
   Meta's word, its limits with their source in the docstring, and name it `MODEL`; a kind of
   interactive message is a file of the folder `interactive/` and needs no second step,
2. add the type to `TYPES` in `request.py`,
3. add `tests/payloads/outbound/<type>.json`, the whole body Meta gets, and its line in
   `tests/unit/test_whatsapp_outbound.py`.
"""

from __future__ import annotations

from switchboard.whatsapp.errors import InvalidMessage
from switchboard.whatsapp.outbound._base import CheckedMessage, Context, DoubtfulMessage, Reply
from switchboard.whatsapp.outbound.request import Message, read, request_body
from switchboard.whatsapp.outbound.unchecked import UncheckedMessage

# The models are imported by the name of their type, at the first message of it.
__all__ = [
    "CheckedMessage",
    "Context",
    "DoubtfulMessage",
    "InvalidMessage",
    "Message",
    "Reply",
    "UncheckedMessage",
    "read",
    "request_body",
]
