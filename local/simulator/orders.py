"""What a person can buy: the products that a message shows, their prices, and the order for them.

Nobody keeps a catalogue here: a price is made of the product's id, always the same one.
"""

from __future__ import annotations

import zlib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from local.simulator.config import BusinessNumber
from local.simulator.exchange import Exchange
from local.simulator.people import Person
from local.simulator.phone import Message

Json = dict[str, Any]

CURRENCY = "USD"
#: What a catalogue without a product of its own in the message holds.
SAMPLES = ("sample-1", "sample-2", "sample-3")
_KINDS = ("product", "product_list", "catalog_message")


class NotForSale(ValueError):
    """No message of the chat shows that product."""


class _Shopping(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    phone_number_id: str
    reply_to: str | None = None


class OrderedItem(BaseModel):
    """So many of one product."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    product_retailer_id: str = Field(min_length=1, max_length=512)
    quantity: int = Field(1, ge=1, le=999)


class PlaceOrder(_Shopping):
    """Order what a message shows; without reply_to, the newest message with products."""

    type: Literal["order"]
    items: list[OrderedItem] = Field(min_length=1, max_length=30)
    text: str | None = None


class AskAboutProduct(_Shopping):
    """Ask about a product; without reply_to, of the newest message with products."""

    type: Literal["inquiry"]
    product_retailer_id: str
    text: str = Field(min_length=1, max_length=65_536)


def shop(
    exchange: Exchange,
    person: Person,
    number: BusinessNumber,
    gesture: PlaceOrder | AskAboutProduct,
) -> Message:
    """Send the order or the question; raises NotForSale."""
    holder, shelf = _find_shelf(exchange, person, number, gesture.reply_to)
    if isinstance(gesture, AskAboutProduct):
        product = product_of(shelf, gesture.product_retailer_id)
        text = {"body": gesture.text}
        return exchange.write(
            person, number, kind="text", content=text, quoted_id=holder.id, product=product
        )
    wanted = [(item.product_retailer_id, item.quantity) for item in gesture.items]
    order = order_of(shelf, wanted, gesture.text)
    return exchange.write(person, number, kind="order", content=order, quoted_id=holder.id)


def _find_shelf(
    exchange: Exchange, person: Person, number: BusinessNumber, reply_to: str | None
) -> tuple[Message, Json]:
    for message in reversed(exchange.phone.chat((person.id, number.phone_number_id))):
        shelf = shelf_of(message) if reply_to in (None, message.id) else None
        if shelf is not None:
            return message, shelf
    raise NotForSale("no message of this chat shows a product or a catalogue")


def price_of(product_retailer_id: str) -> float:
    """A price of 5.00 to 99.99, the number that is written with two places."""
    return (500 + zlib.crc32(product_retailer_id.encode()) % 9_500) / 100


def shelf_of(message: Message) -> Json | None:
    """What a message of the business sells; None where it sells nothing.

    {"catalog_id", "products": [{"id", "price", "currency"}], "is_whole"}: whole is a list of
    everything that may be ordered, the rest of a catalogue is not known here.
    """
    kind = message.content.get("type")
    if message.author != "business" or message.type != "interactive" or kind not in _KINDS:
        return None
    action = message.content.get("action") or {}
    ids: list[str] = []
    if kind == "product":
        ids = [action["product_retailer_id"]]
    elif kind == "product_list":
        items = [item for section in action["sections"] for item in section["product_items"]]
        ids = [item["product_retailer_id"] for item in items]
    else:
        shown = (action.get("parameters") or {}).get("thumbnail_product_retailer_id")
        ids = [*([shown] if shown else []), *SAMPLES]
    products = [{"id": one, "price": price_of(one), "currency": CURRENCY} for one in ids]
    catalog_id = action.get("catalog_id") or f"catalog-{message.phone_number_id}"
    return {
        "catalog_id": catalog_id,
        "products": products,
        "is_whole": kind != "catalog_message",
    }


def order_of(shelf: Json, wanted: list[tuple[str, int]], note: str | None) -> Json:
    """Meta's object of an order: (product, quantity) of a shelf. Raises NotForSale."""
    known = {product["id"] for product in shelf["products"]}
    items = []
    for product_retailer_id, quantity in wanted:
        if shelf["is_whole"] and product_retailer_id not in known:
            raise NotForSale(f"the message does not show the product {product_retailer_id!r}")
        items.append(
            {
                "product_retailer_id": product_retailer_id,
                "quantity": quantity,
                "item_price": price_of(product_retailer_id),
                "currency": CURRENCY,
            }
        )
    order: Json = {"catalog_id": shelf["catalog_id"], "product_items": items}
    return order | ({"text": note} if note else {})


def product_of(shelf: Json, product_retailer_id: str) -> Json:
    """Meta's referred_product of a question about one. Raises NotForSale."""
    order = order_of(shelf, [(product_retailer_id, 1)], None)
    return {"catalog_id": order["catalog_id"], "product_retailer_id": product_retailer_id}
