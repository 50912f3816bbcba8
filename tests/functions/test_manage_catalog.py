"""Products by route: written by the thousand, listed, forgotten; what orders told stands beside."""

from __future__ import annotations

from typing import Any

import pytest

from functions.manage import catalog as routes
from switchboard.access import SCOPES
from switchboard.inbox.catalog import MOST
from tests import api_document
from tests.managing import START, Desk, Made, column

WHERE = "/v1/catalog/products"
MUG: Made = {
    "catalog_id": "9",
    "product_retailer_id": "mug",
    "name": "Mug",
    "description": "Blue, 30 cl",
    "price": "7.99",
    "currency": "EUR",
    "image_url": "https://acme.example/mug.png",
    "url": "https://acme.example/mug",
    "availability": "in stock",
}


def put(desk: Desk, *products: Any, **how: Any) -> list[Made]:
    answer = desk.ok(f"PUT {WHERE}", body={"products": list(products)}, **how)
    results: list[Made] = answer["results"]
    assert len(results) == len(products)
    return results


def product(sku: str, **more: Any) -> Made:
    return {"catalog_id": "9", "product_retailer_id": sku, **more}


def order(desk: Desk, number: int, *items: Made) -> None:
    part = {
        "from": "4915550000001",
        "id": f"wamid.order.{number}",
        "timestamp": str(int(START.timestamp()) + number),
        "type": "order",
        "order": {"catalog_id": "9", "product_items": list(items)},
    }
    desk.take(part, "4915550000001")


def item(price: float, sku: str = "mug") -> Made:
    return {"product_retailer_id": sku, "quantity": 1, "item_price": price, "currency": "USD"}


def test_a_product_is_written_whole_and_over_itself(desk: Desk) -> None:
    (made,) = put(desk, MUG)
    assert made.pop("status_code") == 200
    schemas = api_document.document()["components"]["schemas"]
    assert made.keys() == schemas["Product"]["properties"].keys()
    times = {made.pop("created_at"), made.pop("updated_at")}
    assert len(times) == 1
    assert made == {
        **MUG,
        "price_source": "route",
        "is_active": True,
        "source": "route",
        "last_ordered_at": None,
    }
    (again,) = put(desk, product("mug", name="Cup", is_active=False))
    assert (again["name"], again["price"], again["currency"]) == ("Cup", None, None)
    assert (again["is_active"], again["description"]) == (False, None)
    assert len(desk.place.rows("catalog_products")) == 1


@pytest.mark.parametrize(
    ("price", "shown"), [(7.99, "7.99"), ("7.50", "7.5"), (5, "5"), (0, "0"), ("0.0001", "0.0001")]
)
def test_a_price_keeps_every_digit(desk: Desk, price: Any, shown: str) -> None:
    (made,) = put(desk, product("mug", price=price, currency="USD"))
    assert made["price"] == shown


def test_a_wrong_product_costs_itself_alone(desk: Desk) -> None:
    results = put(
        desk,
        product("a"),
        product("b", price=1),
        product("c", price=-1, currency="USD"),
        product("d", price="1.00001", currency="USD"),
        product("e", currency="usd", price=1),
        product("f", url="ftp://acme.example"),
        product("g", colour="red"),
        product(""),
        product("h" * 101),
        {"product_retailer_id": "i"},
        product("a", name="twice"),
        product("z"),
    )
    codes = column(results, "status_code")
    assert codes == [200, *[422] * 10, 200]
    fields = [one.get("field") for one in results[2:-1]]
    assert fields == [
        "price",
        "price",
        "currency",
        "url",
        "colour",
        "product_retailer_id",
        "product_retailer_id",
        "catalog_id",
        "product_retailer_id",
    ]
    rows = desk.pages(f"GET {WHERE}")
    assert column(rows, "product_retailer_id") == ["a", "z"]
    assert rows[0]["name"] is None


def test_a_thousand_go_in_one_request_and_no_more(desk: Desk) -> None:
    products = [product(f"sku-{n:04d}", name="x" * 200) for n in range(MOST)]
    results = put(desk, *products)
    assert {one["status_code"] for one in results} == {200}
    assert column(results, "product_retailer_id") == column(products, "product_retailer_id")
    status, problem = desk.call(f"PUT {WHERE}", body={"products": [*products, product("more")]})
    assert (status, problem["field"]) == (422, "products")
    assert len(desk.pages(f"GET {WHERE}", limit=200)) == MOST
    assert desk.call(f"PUT {WHERE}", body="x" * (routes.MOST + 1))[0] == 413


def test_orders_fill_what_no_route_has_written_in_either_order(desk: Desk) -> None:
    order(desk, 1, item(5), item(3, "cup"))
    put(desk, MUG)
    order(desk, 2, item(6))
    mug, cup = (
        desk.ok(f"GET {WHERE}", product_retailer_id=sku)["data"][0] for sku in ("mug", "cup")
    )
    assert (mug["price"], mug["currency"], mug["price_source"]) == ("7.99", "EUR", "route")
    assert (mug["name"], mug["source"]) == ("Mug", "route")
    assert mug["last_ordered_at"] > cup["last_ordered_at"]
    assert (cup["price"], cup["currency"], cup["price_source"]) == ("3", "USD", "order")
    assert (cup["name"], cup["source"]) == (None, "order")
    # Without a price of the route's own the newest order's is shown.
    (mug,) = put(desk, product("mug", name="Mug"))
    assert (mug["price"], mug["currency"], mug["price_source"]) == ("6", "USD", "order")


def test_products_are_listed_by_filters_and_pages(desk: Desk) -> None:
    put(
        desk,
        *(product(sku) for sku in ("b", "Ä", "a", "Z")),
        product("off", is_active=False),
        {**product("a"), "catalog_id": "10"},
    )
    order(desk, 1, item(5, "new"))

    def found(**filters: Any) -> list[tuple[str, str]]:
        rows = desk.pages(f"GET {WHERE}", limit=2, **filters)
        return [(row["catalog_id"], row["product_retailer_id"]) for row in rows]

    everything = found()
    assert everything == sorted(everything)  # by their bytes
    assert len(everything) == 7
    assert found(catalog_id="10") == [("10", "a")]
    assert found(product_retailer_id="a") == [("10", "a"), ("9", "a")]
    assert found(is_active="false") == [("9", "off")]
    assert found(source="order") == [("9", "new")]


def test_a_product_is_forgotten_and_shown_as_it_was(desk: Desk) -> None:
    put(desk, MUG, product("cup"))
    which = {"catalog_id": "9", "product_retailer_id": "mug"}
    assert desk.ok(f"DELETE {WHERE}", **which)["name"] == "Mug"
    assert desk.call(f"DELETE {WHERE}", **which)[0] == 404
    assert desk.call(f"DELETE {WHERE}", catalog_id="9")[0] == 400
    assert column(desk.ok(f"GET {WHERE}")["data"], "product_retailer_id") == ["cup"]


def test_a_tenants_products_are_its_own(desk: Desk) -> None:
    put(desk, MUG)
    other = desk.world.place()
    key = other.add_key(*SCOPES)
    which = {"catalog_id": "9", "product_retailer_id": "mug"}
    assert desk.call(f"DELETE {WHERE}", key=key, **which)[0] == 404
    put(desk, product("mug", name="Other"), key=key)
    assert desk.ok(f"GET {WHERE}")["data"][0]["name"] == "Mug"
