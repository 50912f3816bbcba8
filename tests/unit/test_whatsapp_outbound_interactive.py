"""What is refused of interactive messages before it leaves: too many, twice, or not together."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from switchboard.whatsapp.outbound import InvalidMessage, read

Json = dict[str, Any]
Change = Callable[[Json], object]

OUTBOUND = Path(__file__).resolve().parents[1] / "payloads" / "outbound"
ACTION = "message.interactive.action"


def content_of(name: str) -> Json:
    content: Json = json.loads((OUTBOUND / f"interactive_{name}.json").read_bytes())["interactive"]
    return content


def message(content: Any) -> Json:
    return {"type": "interactive", "interactive": content}


def changed(name: str, change: Change) -> Json:
    content = content_of(name)
    change(content)
    return message(content)


def fault(asked: Any) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as caught:
        read(asked)
    return caught.value


def put(path: str, value: Any) -> Change:
    """Return a change that puts `value` at a dotted path."""

    def change(content: Json) -> None:
        node: Any = content
        *inside, last = path.split(".")
        for part in inside:
            node = node[int(part)] if isinstance(node, list) else node[part]
        node[int(last) if isinstance(node, list) else last] = value

    return change


def drop(path: str) -> Change:
    """Return a change that takes away what is at a dotted path."""

    def change(content: Json) -> None:
        node: Any = content
        *inside, last = path.split(".")
        for part in inside:
            node = node[int(part)] if isinstance(node, list) else node[part]
        del node[int(last) if isinstance(node, list) else last]

    return change


def rows(*sizes: int) -> list[Json]:
    """Return sections of so many rows, all ids distinct."""
    return [
        {"title": f"S{n}", "rows": [{"id": f"{n}-{m}", "title": "Row"} for m in range(size)]}
        for n, size in enumerate(sizes)
    ]


def products(*sizes: int) -> list[Json]:
    """Return sections of so many products."""
    return [
        {"title": f"S{n}", "product_items": [{"product_retailer_id": f"product-{n}"}] * size}
        for n, size in enumerate(sizes)
    ]


def buttons(count: int) -> list[Json]:
    return [
        {"type": "reply", "reply": {"id": f"b{n}", "title": f"Button {n}"}} for n in range(count)
    ]


def cards(count: int) -> list[Json]:
    card = content_of("carousel")["action"]["cards"][0]
    return [{**deepcopy(card), "card_index": n} for n in range(count)]


@pytest.mark.parametrize(
    ("name", "path", "fits", "beyond", "told"),
    [
        ("button", "action.buttons", buttons(3), buttons(4), "4 items, the limit is 3"),
        ("list", "action.sections", rows(10), rows(11), "11 rows in all, the limit is 10"),
        ("list", "action.sections", rows(4, 6), rows(4, 7), "11 rows in all, the limit is 10"),
        ("list", "action.sections", rows(*[1] * 10), rows(*[1] * 11), "11 items, the limit is 10"),
        (
            "product_list",
            "action.sections",
            products(30),
            products(31),
            "31 products in all, the limit is 30",
        ),
        (
            "product_list",
            "action.sections",
            products(10, 19, 1),
            products(10, 19, 2),
            "31 products in all, the limit is 30",
        ),
        (
            "product_list",
            "action.sections",
            products(*[3] * 10),
            products(*[1] * 11),
            "11 items, the limit is 10",
        ),
        ("carousel", "action.cards", cards(10), cards(11), "11 items, the limit is 10"),
    ],
)
def test_the_last_that_fits_passes_and_one_more_is_refused_with_the_limit(
    name: str, path: str, fits: Any, beyond: Any, told: str
) -> None:
    assert read(changed(name, put(path, fits))).warnings == ()
    error = fault(changed(name, put(path, beyond)))
    field = f"message.interactive.{path}"
    length, limit = map(int, re.findall("[0-9]+", told))
    faults = [one for one in error.extra["errors"] if one["field"] == field]
    assert faults == [
        {"field": field, "detail": f"{field} has {told}", "limit": limit, "length": length}
    ]


@pytest.mark.parametrize(
    ("name", "change", "field", "detail"),
    [
        # Too few
        (
            "button",
            put("action.buttons", []),
            "action.buttons",
            "has 0 items, at least 1 must be there",
        ),
        (
            "list",
            put("action.sections", []),
            "action.sections",
            "has 0 items, at least 1 must be there",
        ),
        (
            "list",
            put("action.sections.0.rows", []),
            "action.sections.0.rows",
            "has 0 items, at least 1 must be there",
        ),
        (
            "carousel",
            drop("action.cards.1"),
            "action.cards",
            "has 1 items, at least 2 must be there",
        ),
        # Empty or missing
        ("button", put("body.text", ""), "body.text", "is empty"),
        ("button", drop("body"), "body", "is missing"),
        ("voice_call", drop("body"), "body", "is missing"),
        ("product_list", drop("header"), "header", "is missing"),
        ("location_request_message", drop("body"), "body", "is missing"),
        ("flow", drop("action.parameters.flow_cta"), "action.parameters.flow_cta", "is missing"),
        ("cta_url", drop("action.parameters"), "action.parameters", "is missing"),
        (
            "address_message",
            drop("action.parameters.country"),
            "action.parameters.country",
            "is missing",
        ),
        (
            "button",
            put("action.buttons.0.reply.title", ""),
            "action.buttons.0.reply.title",
            "is empty",
        ),
        # Twice
        (
            "button",
            put("action.buttons.1.reply.id", "class-41:yes"),
            "action.buttons",
            "have one id twice",
        ),
        (
            "button",
            put("action.buttons.1.reply.title", "Cancelar"),
            "action.buttons",
            "have one title twice",
        ),
        (
            "list",
            put("action.sections.1.rows.0.id", "wheel-sat-10"),
            "action.sections",
            "have one row id twice",
        ),
        (
            "carousel",
            put("action.cards.1.card_index", 0),
            "action.cards",
            "have one card_index twice",
        ),
        # Not for this kind
        *[
            (name, put("header", {"type": "text", "text": "x"}), "header", None)
            for name in (
                "location_request_message",
                "call_permission_request",
                "product",
                "catalog_message",
                "carousel",
                "request_contact_info",
            )
        ],
        *[
            (name, put("footer", {"text": "x"}), "footer", None)
            for name in ("location_request_message", "call_permission_request", "carousel")
        ],
        ("list", put("header", {"type": "image", "image": {"id": "7"}}), "header.type", None),
        ("button", put("action.sections", []), "action.sections", None),
        (
            "flow",
            put("action.parameters.hue", 3),
            "action.parameters.hue",
            "is unknown to messages of type interactive.flow",
        ),
        # Not together
        (
            "button",
            put("header", {"type": "image", "video": {"id": "7"}}),
            "header",
            "of type image needs image and nothing else",
        ),
        (
            "button",
            put("header", {"type": "text", "text": "x", "image": {"id": "7"}}),
            "header",
            "of type text needs text and nothing else",
        ),
        ("button", put("header", {"type": "image", "image": {}}), "header.image", None),
        (
            "list",
            drop("action.sections.1.title"),
            "action.sections",
            "need a title each where there are several",
        ),
        (
            "product_list",
            put("action.sections.0.title", ""),
            "action.sections",
            "need a title each where there are several",
        ),
        (
            "flow",
            put("action.parameters.flow_name", "x"),
            "action.parameters",
            "needs exactly one of flow_id and flow_name",
        ),
        (
            "flow",
            drop("action.parameters.flow_id"),
            "action.parameters",
            "needs exactly one of flow_id and flow_name",
        ),
        (
            "flow",
            put("action.parameters.flow_action", "data_exchange"),
            "action.parameters",
            "has a flow_action_payload, which only navigate takes",
        ),
        (
            "carousel",
            put("action.cards.1.header", {"type": "video", "video": {"id": "7"}}),
            "action.cards",
            "have headers of different types",
        ),
        (
            "carousel",
            put("action.cards.1.header", {"type": "image", "video": {"id": "7"}}),
            "action.cards.1.header",
            "of type image needs image and nothing else",
        ),
        (
            "carousel",
            put(
                "action.cards.1",
                {
                    "card_index": 1,
                    "type": "product",
                    "action": {"product_retailer_id": "a", "catalog_id": "b"},
                },
            ),
            "action.cards",
            "are not of one type",
        ),
        (
            "carousel_products",
            put("action.cards.1.action.catalog_id", "other"),
            "action.cards",
            "are of different catalogues",
        ),
        (
            "carousel",
            put("action.cards.0.action.buttons", []),
            "action.cards.0.action.buttons",
            None,
        ),
        (
            "carousel_quick_replies",
            put("action.cards.0.action.name", "cta_url"),
            "action.cards.0.action",
            "needs either name and parameters or buttons",
        ),
        (
            "carousel",
            put("action.cards.0.body.text", "a\nb\nc\nd"),
            "action.cards.0.body.text",
            "has more than two line breaks",
        ),
        # Values that cannot be
        (
            "button",
            put("action.buttons.0.reply.id", " yes"),
            "action.buttons.0.reply.id",
            "begins or ends with a space",
        ),
        (
            "cta_url",
            put("action.parameters.url", "taller.example"),
            "action.parameters.url",
            "is no http or https address",
        ),
        (
            "voice_call",
            put("action.parameters.ttl_minutes", 0),
            "action.parameters.ttl_minutes",
            "is below 1",
        ),
        (
            "voice_call",
            put("action.parameters.ttl_minutes", 43_201),
            "action.parameters.ttl_minutes",
            "is above 43200",
        ),
        ("carousel", put("action.cards.0.card_index", 10), "action.cards.0.card_index", None),
        (
            "flow",
            put("action.parameters.flow_message_version", "4"),
            "action.parameters.flow_message_version",
            None,
        ),
        (
            "flow",
            put("action.parameters.flow_action_payload.data", {}),
            "action.parameters.flow_action_payload.data",
            "has 0 items, at least 1 must be there",
        ),
        (
            "call_permission_request",
            put("action.name", "request_call_permission"),
            "action.name",
            None,
        ),
        (
            "order_details",
            put("action.parameters.reference_id", "a" * 36),
            "action.parameters.reference_id",
            "has 36 characters, the limit is 35",
        ),
        (
            "order_details",
            put("action.parameters.reference_id", "ñ"),
            "action.parameters.reference_id",
            None,
        ),
        (
            "order_details",
            put("action.parameters.total_amount.value", -1),
            "action.parameters.total_amount.value",
            None,
        ),
        (
            "order_details",
            put("action.parameters.order.items.0.quantity", 1.5),
            "action.parameters.order.items.0.quantity",
            None,
        ),
        (
            "carousel",
            put("action.cards.0.type", "mi-clave"),
            "action.cards.0.type",
            "is none of 'cta_url', 'product'",
        ),
        ("carousel", drop("action.cards.0.type"), "action.cards.0", None),
    ],
)
def test_what_meta_would_refuse_names_its_field(
    name: str, change: Change, field: str, detail: str | None
) -> None:
    error = fault(changed(name, change))
    fields = {one["field"]: one["detail"] for one in error.extra["errors"]}
    field = f"message.interactive.{field}"
    assert field in fields
    assert detail in (None, fields[field].removeprefix(f"{field} "))
    assert "mi-clave" not in json.dumps(error.extra)


@pytest.mark.parametrize(
    ("content", "field", "detail"),
    [
        ([], "message.interactive.type", "is missing or no kind of Meta's"),
        ({}, "message.interactive.type", "is missing or no kind of Meta's"),
        ({"type": "../flow"}, "message.interactive.type", "is missing or no kind of Meta's"),
        ({"type": "_parts"}, "message.interactive.type", "is missing or no kind of Meta's"),
        ("x", "message.interactive", "is no object"),
    ],
)
def test_an_interactive_message_says_its_kind(content: Any, field: str, detail: str) -> None:
    error = fault(message(content))
    assert error.field == field
    assert error.detail == f"{field} {detail}"


def test_what_a_country_adds_to_a_bill_passes() -> None:
    content = content_of("order_details")
    parameters = content["action"]["parameters"]
    parameters["beneficiaries"] = [{"name": "Asha Rao", "postal_code": "400063"}]
    parameters["order"]["items"][0]["country_of_origin"] = "BR"
    parameters["order"]["discount"] = {
        "value": 1,
        "offset": 100,
        "discount_program_name": "Natal",
    }
    assert read(message(content)).body() == message(content)


def test_a_name_that_has_only_one_value_need_not_be_given() -> None:
    content = content_of("location_request_message")
    content["action"] = {}
    assert read(message(content)).body() == message(content_of("location_request_message"))
