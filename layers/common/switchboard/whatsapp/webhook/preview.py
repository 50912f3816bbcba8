"""What an inbox shows of a message."""

from __future__ import annotations

from switchboard.whatsapp.webhook.items import Message
from switchboard.whatsapp.webhook.payloads import (
    Button,
    ButtonReply,
    Card,
    Contacts,
    Edit,
    ListReply,
    Location,
    Media,
    NfmReply,
    Order,
    Reaction,
    Text,
)

#: Length of a conversation's preview in characters.
_LONGEST = 200


def preview(message: Message) -> str:
    """Return what an inbox shows of `message`: its text, caption or title, else its type."""
    match message.payload:
        case Text(body=text):
            shown = text
        case Media(caption=caption, filename=name):
            shown = caption or name or ""
        case Button(text=text):
            shown = text or ""
        case ButtonReply(title=title) | ListReply(title=title):
            shown = title
        case Location(name=name):
            shown = name or ""
        case Reaction(emoji=emoji):
            shown = emoji or ""
        case NfmReply(body=text) | Order(text=text):
            shown = text or ""
        case Contacts(cards=(Card(name=name), *_)):
            shown = name or ""
        case Edit(content=content):
            new = content.get("body") or content.get("caption")
            shown = new if isinstance(new, str) else ""
        case _:
            shown = ""
    return (shown or f"[{message.type}]")[:_LONGEST]
