"""Meta's webhooks: a body in, typed items out. Importing this costs no HTTP client and no SQL."""

from __future__ import annotations

from switchboard.whatsapp.webhook.envelope import parse, rebuild
from switchboard.whatsapp.webhook.items import (
    Event,
    Item,
    Malformed,
    Message,
    Sender,
    Status,
    Unhandled,
)
from switchboard.whatsapp.webhook.payloads import (
    Button,
    ButtonReply,
    ListReply,
    Location,
    Media,
    MediaKind,
    Payload,
    Reaction,
    System,
    Text,
    Unknown,
)

__all__ = [
    "Button",
    "ButtonReply",
    "Event",
    "Item",
    "ListReply",
    "Location",
    "Malformed",
    "Media",
    "MediaKind",
    "Message",
    "Payload",
    "Reaction",
    "Sender",
    "Status",
    "System",
    "Text",
    "Unhandled",
    "Unknown",
    "parse",
    "rebuild",
]
