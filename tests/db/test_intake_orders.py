"""Orders: every item, to the cent."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.databases import ClonedDatabase
from tests.deliveries import NOW, Number, Person, Place, Update, message

ANA = Person("4915551234567")


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    place = Place(database)
    yield place
    place.close()


def order(number: Number, wamid: str, *items: Any, **more: Any) -> Update:
    content = {"catalog_id": "cat-1", "product_items": list(items), **more}
    return message(number, wamid, ANA, kind="order", content=content)


def item(price: Any, quantity: Any = 1, currency: str | None = "USD", sku: str = "mug") -> Any:
    told = {"product_retailer_id": sku, "quantity": quantity, "item_price": price}
    return told | ({} if currency is None else {"currency": currency})


def test_an_order_has_its_items_in_their_order_and_a_sum_without_rounding(place: Place) -> None:
    number = place.number()
    update = order(number, "wamid.1", item(7.99, 3), item(0.1, "2", sku="cup"), text="gift")

    place.post(update)
    place.post(update, message(number, "wamid.2", ANA))

    assert place.rows(
        "select catalog_id, note, item_count, total_amount, currency, occurred_at"
        " from messaging.orders"
    ) == [("cat-1", "gift", 2, Decimal("24.17"), "USD", NOW)]
    assert place.rows(
        "select position, product_retailer_id, quantity, item_price, currency"
        " from messaging.order_items order by position"
    ) == [(0, "mug", 3, Decimal("7.99"), "USD"), (1, "cup", 2, Decimal("0.1"), "USD")]


@pytest.mark.parametrize(
    ("items", "total", "currency"),
    [
        ([item(5), item(3, currency="EUR")], None, None),
        ([item(None), item(3)], None, "USD"),
        ([item("12.50", 2)], Decimal("25.00"), "USD"),
        ([item(1e-7, 3)], Decimal("0.0000003"), "USD"),
        # What is left of a price that was calculated in floats.
        ([item(0.1 + 0.2), item("7.9900000000000002131")], Decimal("8.29"), "USD"),
        ([item(1, currency=None)], None, None),
        ([], None, None),
    ],
)
def test_there_is_a_sum_where_prices_and_currency_are_known(
    place: Place, items: list[Any], total: Decimal | None, currency: str | None
) -> None:
    number = place.number()

    place.post(order(number, "wamid.1", *items))

    assert place.rows("select total_amount, currency from messaging.orders") == [(total, currency)]
    assert place.count("order_items") == len(items)


@pytest.mark.parametrize(
    "odd",
    [
        item(-1),
        item("a lot"),
        item(10**12),
        item("NaN"),
        item(1, -1),
        item(1, 1.5),
        item(1, 10**10),
        {"quantity": 1},
        "mug",
    ],
)
def test_half_of_an_order_is_no_order_and_the_message_is_whole(place: Place, odd: Any) -> None:
    number = place.number()

    place.post(order(number, "wamid.1", item(1), odd), message(number, "wamid.2", ANA))

    assert place.count("orders") == 0
    assert place.count("whatsapp_messages") == 2
    assert place.letters() == {}
