"""An order: products of a catalogue, put into the basket inside WhatsApp."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from switchboard.whatsapp.webhook.payloads._read import (
    Object,
    Odd,
    amount,
    optional_text,
    text,
    whole,
)


@dataclass(frozen=True, slots=True)
class OrderItem:
    """So many of one product; `price` is of one of them, in `currency` (ISO 4217)."""

    product_retailer_id: str
    quantity: int
    price: Decimal | None
    currency: str | None


@dataclass(frozen=True, slots=True)
class Order:
    """An order (Webhooks, messages, order): prices are decimal numbers."""

    WORDS: ClassVar = ("order",)

    catalog_id: str | None
    text: str | None
    items: tuple[OrderItem, ...]

    @classmethod
    def read(cls, word: str, content: Object) -> Order:  # noqa: ARG003 - one signature for all
        """Read `order: {catalog_id?, text?, product_items: [{product_retailer_id, quantity, …}]}`.

        An item whose product, number or price is odd makes the whole order odd: half of an order
        is another order.
        """
        items = content.get("product_items")
        if type(items) is not list:
            raise Odd(f"product_items is {'missing' if items is None else 'not a list'}")
        return cls(
            optional_text(content, "catalog_id"),
            optional_text(content, "text"),
            tuple(map(_item, items)),
        )

    @property
    def currency(self) -> str | None:
        """The currency of all items, None where they have none or several."""
        currencies = {item.currency for item in self.items}
        return currencies.pop() if len(currencies) == 1 else None

    @property
    def total(self) -> Decimal | None:
        """What all items cost together, None where a price is missing or currencies differ."""
        if self.currency is None:
            return None
        total = Decimal(0)
        for item in self.items:
            if item.price is None:
                return None
            total += item.price * item.quantity
        return total


def _item(item: object) -> OrderItem:
    if type(item) is not dict:
        raise Odd("an item is not an object")
    return OrderItem(
        text(item, "product_retailer_id"),
        whole(item, "quantity"),
        amount(item, "item_price"),
        optional_text(item, "currency"),
    )
