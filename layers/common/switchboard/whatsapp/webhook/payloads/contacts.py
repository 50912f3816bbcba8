"""Cards of people, shared from an address book or as the answer to a request for a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from switchboard.whatsapp.webhook.payloads._read import Odd


@dataclass(frozen=True, slots=True)
class Card:
    """One card: what of it names and reaches the person; the message's content has all of it.

    `phones` are as typed in the address book, `wa_ids` those of them that are on WhatsApp.
    `origin` is Meta's word for why it was shared (contact_request, other).
    """

    name: str | None
    phones: tuple[str, ...]
    wa_ids: tuple[str, ...]
    emails: tuple[str, ...]
    organisation: str | None
    origin: str | None


@dataclass(frozen=True, slots=True)
class Contacts:
    """Shared cards (Webhooks, messages, contacts): Meta's object is a list, not an object.

    Nearly everything in a card is optional: what is missing or odd there is left out.
    """

    WORDS: ClassVar = ("contacts",)

    cards: tuple[Card, ...]

    @classmethod
    def read(cls, word: str, content: Any) -> Contacts:  # noqa: ARG003 - one signature for all
        """Read `contacts: [{name?, phones?, emails?, org?, origin?, …}]`."""
        if type(content) is not list:
            raise Odd("is not a list")
        if not all(type(card) is dict for card in content):
            raise Odd("a card is not an object")
        return cls(tuple(map(_card, content)))


def _card(card: dict[str, Any]) -> Card:
    name, organisation = card.get("name"), card.get("org")
    return Card(
        _text(name, "formatted_name"),
        _texts(card.get("phones"), "phone"),
        _texts(card.get("phones"), "wa_id"),
        _texts(card.get("emails"), "email"),
        _text(organisation, "company"),
        _text(card, "origin"),
    )


def _text(part: Any, key: str) -> str | None:
    value = part.get(key) if type(part) is dict else None
    return value if type(value) is str else None


def _texts(parts: Any, key: str) -> tuple[str, ...]:
    values = (_text(part, key) for part in parts) if type(parts) is list else ()
    return tuple(value for value in values if value is not None)
