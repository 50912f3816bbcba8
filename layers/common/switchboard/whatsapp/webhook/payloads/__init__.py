"""The typed bodies of inbound messages: one class per type or family of types, one union below.

To add a message type:
1. add a class beside the others, in a file of its own: a frozen dataclass with `WORDS` (Meta's
   `type`, or `interactive.<kind>`) and a `read` that raises `Odd` for the wrong shape,
2. add the class to `Payload` below (mypy then shows every `match` that must take it up),
3. add `tests/payloads/inbound/<type>.json`, a whole webhook body, and its line in
   `tests/unit/test_whatsapp_webhook.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from switchboard.whatsapp.webhook.payloads._read import Odd
from switchboard.whatsapp.webhook.payloads.about import (
    Context,
    Product,
    Referral,
    context_of,
    referral_of,
)
from switchboard.whatsapp.webhook.payloads.changes import Edit, Revoke
from switchboard.whatsapp.webhook.payloads.contacts import Card, Contacts
from switchboard.whatsapp.webhook.payloads.interactive import (
    CallPermissionReply,
    NfmReply,
    PaymentMethod,
)
from switchboard.whatsapp.webhook.payloads.location import Location
from switchboard.whatsapp.webhook.payloads.media import Media, MediaKind
from switchboard.whatsapp.webhook.payloads.order import Order, OrderItem
from switchboard.whatsapp.webhook.payloads.reaction import Reaction
from switchboard.whatsapp.webhook.payloads.replies import Button, ButtonReply, ListReply
from switchboard.whatsapp.webhook.payloads.system import System
from switchboard.whatsapp.webhook.payloads.text import Text
from switchboard.whatsapp.webhook.payloads.unknown import Unknown
from switchboard.whatsapp.webhook.payloads.unsupported import Fault, Unsupported
from switchboard.whatsapp.webhook.payloads.welcome import RequestWelcome

__all__ = [
    "BARE",
    "LISTS",
    "READERS",
    "TYPES",
    "Button",
    "ButtonReply",
    "CallPermissionReply",
    "Card",
    "Contacts",
    "Context",
    "Edit",
    "Fault",
    "ListReply",
    "Location",
    "Media",
    "MediaKind",
    "NfmReply",
    "Odd",
    "Order",
    "OrderItem",
    "Payload",
    "PaymentMethod",
    "Product",
    "Reaction",
    "Referral",
    "RequestWelcome",
    "Revoke",
    "System",
    "Text",
    "Unknown",
    "Unsupported",
    "context_of",
    "referral_of",
]

Payload = (
    Text
    | Media
    | Location
    | Reaction
    | Button
    | ButtonReply
    | ListReply
    | NfmReply
    | CallPermissionReply
    | PaymentMethod
    | Contacts
    | Order
    | Edit
    | Revoke
    | RequestWelcome
    | System
    | Unsupported
    | Unknown
)

READERS: dict[str, Callable[[str, Any], Payload]] = {
    word: kind.read for kind in get_args(Payload) for word in kind.WORDS
}
"""Meta's word -> how its object is read. A word claimed twice is refused by a test."""

TYPES = tuple(dict.fromkeys(word.partition(".")[0] for word in READERS))
"""The values of Meta's `type` that have a class: an odd one of these is worth a reason."""

LISTS = frozenset(Contacts.WORDS)
"""Words whose object is a list."""

BARE = frozenset((*RequestWelcome.WORDS, *Unsupported.WORDS))
"""Words that come without an object, too: the message says it all, or its errors do."""
