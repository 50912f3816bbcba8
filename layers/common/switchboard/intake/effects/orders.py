"""Orders with their items; amounts are decimals, so they travel as text."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from switchboard.intake.effects._effect import Effect
from switchboard.whatsapp.webhook import Message, Order


def _of(message: Message) -> dict[str, Any] | None:
    match message.payload:
        case Order() as order:
            return {
                "g": order.catalog_id,
                "n": order.text,
                "t": _text(order.total),
                "y": order.currency,
                "i": [
                    {
                        "p": item.product_retailer_id,
                        "q": item.quantity,
                        "e": _text(item.price),
                        "y": item.currency,
                    }
                    for item in order.items
                ],
            }
        case _:
            return None


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else format(amount, "f")


KIND = Effect(name="orders", of=_of, payloads=(Order,))
