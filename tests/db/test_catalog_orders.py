"""Orders fill the catalogue with what they know; a route's own values stand beside that."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from tests.databases import ClonedDatabase
from tests.deliveries import NOW, SECOND, Number, Person, Place, Update, message

ANA = Person("4915551234567")


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    place = Place(database)
    yield place
    place.close()


def order(
    number: Number, wamid: str, *items: Any, at: int = 0, catalog: Any = "cat-1", **more: Any
) -> Update:
    content = {"catalog_id": catalog, "product_items": list(items), **more}
    if catalog is None:
        del content["catalog_id"]
    return message(number, wamid, ANA, SECOND + at, kind="order", content=content)


def item(price: Any, sku: str = "mug", currency: str | None = "USD") -> Any:
    told = {"product_retailer_id": sku, "quantity": 1}
    told |= {} if price is None else {"item_price": price}
    return told | ({} if currency is None else {"currency": currency})


PRICES = (
    "select product_retailer_id, order_price, order_currency, order_price_at, last_ordered_at"
    " from messaging.catalog_products order by tenant_id, product_retailer_id"
)


def test_an_order_tells_of_its_products(place: Place) -> None:
    number = place.number()
    place.post(order(number, "wamid.1", item(7.99), item("5.50", "cup"), item(None, "tea")))
    assert place.rows(PRICES) == [
        ("cup", Decimal("5.5"), "USD", NOW, NOW),
        ("mug", Decimal("7.99"), "USD", NOW, NOW),
        ("tea", None, None, None, NOW),
    ]
    assert place.rows(
        "select distinct catalog_id, source, is_active, price, name from messaging.catalog_products"
    ) == [("cat-1", "order", True, None, None)]


@pytest.mark.parametrize("together", [True, False], ids=["one body", "many bodies"])
def test_the_newest_price_stays_in_every_order(place: Place, *, together: bool) -> None:
    told = [(0, 9), (7, 5), (7, 6), (3, 8), (8, None)]
    ends = set()
    for order_of in permutations(told):
        number = place.number()
        updates = [
            order(number, f"wamid.{at}.{price}", item(price), at=at) for at, price in order_of
        ]
        for batch in [updates] if together else [[update] for update in updates]:
            place.post(*batch)
        place.post(*updates)
        ends.add(place.rows(f"{PRICES} limit 1")[0][1:])
        place.everything.execute("delete from messaging.catalog_products")
    (end,) = ends
    assert end[0] in (5, 6)
    assert end[2:] == (NOW + timedelta(seconds=7), NOW + timedelta(seconds=8))


def test_what_a_route_wrote_stays(place: Place) -> None:
    number = place.number()
    place.everything.execute(
        "insert into messaging.catalog_products (tenant_id, catalog_id, product_retailer_id,"
        " source, name, price, currency, is_active)"
        " values (%s, 'cat-1', 'mug', 'route', 'Mug', 12, 'EUR', false)",
        (number.tenant_id,),
    )
    place.post(order(number, "wamid.1", item(7.99)))
    assert place.rows(
        "select source, name, price, currency, is_active, order_price, order_currency"
        " from messaging.catalog_products"
    ) == [("route", "Mug", Decimal(12), "EUR", False, Decimal("7.99"), "USD")]


@pytest.mark.parametrize(
    "update",
    [
        {"catalog": None},
        {"catalog": "c" * 101},
        {"catalog": "c" * 5000},
        {"sku": "s" * 101},
        {"sku": "s" * 5000},
        {"sku": ""},
    ],
    ids=lambda update: str(update)[:40],
)
def test_what_names_no_product_costs_the_order_nothing(place: Place, update: Any) -> None:
    number = place.number()
    given = order(
        number, "wamid.1", item(1, update.get("sku", "mug")), catalog=update.get("catalog", "cat-1")
    )
    place.post(given)
    assert place.count("catalog_products") == 0
    assert (place.count("whatsapp_messages"), place.count("webhook_dead_letters")) == (1, 0)


def test_a_price_needs_its_currency(place: Place) -> None:
    number = place.number()
    place.post(order(number, "wamid.1", item(3, currency=None)))
    assert place.rows(PRICES) == [("mug", None, None, None, NOW)]


def test_one_product_twice_in_an_order_is_one_product(place: Place) -> None:
    number = place.number()
    place.post(order(number, "wamid.1", item(3), item(3)))
    assert [row[:2] for row in place.rows(PRICES)] == [("mug", 3)]
