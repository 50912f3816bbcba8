"""What orders say of products: their ids and, at the time of the order, their prices."""

from __future__ import annotations

from typing import Any

from switchboard.intake.effects._effect import Effect
from switchboard.whatsapp.webhook import Message, Order

#: Characters of an id of Meta's catalogue; a longer one is none, and no key.
_LONGEST = 100


def _of(message: Message) -> dict[str, Any] | None:
    match message.payload:
        case Order(catalog_id=str(catalog_id), items=items) if _is_id(catalog_id):
            told = [
                {
                    "p": item.product_retailer_id,
                    "e": None if item.price is None else format(item.price, "f"),
                    "y": item.currency,
                }
                for item in items
                if _is_id(item.product_retailer_id)
            ]
            return {"g": catalog_id, "i": told} if told else None
        case _:
            return None


def _is_id(text: str) -> bool:
    return 1 <= len(text) <= _LONGEST


KIND = Effect(name="catalog_orders", of=_of, payloads=(Order,))
