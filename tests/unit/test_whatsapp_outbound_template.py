"""Templates as they are sent: what Meta refuses of every component, and what is only doubtful.

The whole bodies are in tests/payloads/outbound, with all other messages.
"""

from __future__ import annotations

from typing import Any

import pytest

from switchboard.whatsapp.outbound import InvalidMessage, Message, read
from tests.template_messages import (
    SECTIONS,
    action,
    body,
    button,
    card,
    carousel,
    header,
    offer,
    payload,
    suffix,
    template,
)

C = "message.template.components"


def sent(*components: Any) -> dict[str, Any]:
    return template("pedido_listo", *components)


def fault(message: dict[str, Any]) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as caught:
        read(message)
    return caught.value


def passed(*components: Any) -> Message:
    return read(sent(*components))


def picture(index: int) -> dict[str, Any]:
    return card(index, header("image", {"id": "7"}))


def quick(index: Any) -> dict[str, Any]:
    return button("quick_reply", index, payload("a"))


def products(*counts: int) -> dict[str, Any]:
    """An mpm button with so many products in each section."""
    sections = [
        {"title": f"S{n}", "product_items": [{"product_retailer_id": "p"}] * count}
        for n, count in enumerate(counts)
    ]
    return button("mpm", 0, action(thumbnail_product_retailer_id="p", sections=sections))


@pytest.mark.parametrize(
    ("components", "field", "detail"),
    [
        # The kinds of parts and where they may stand
        (["body"], f"{C}.0", "needs as its type one of header, body, button, "),
        ([{}], f"{C}.0", "needs as its type one of header, body, button, "),
        (
            [header("currency", {"fallback_value": "1", "code": "MXN", "amount_1000": 1})],
            f"{C}.0.parameters.0",
            "needs as its type one of text, image, video, document, gif, location, product",
        ),
        (
            [body({"type": "image", "image": {"id": "7"}})],
            f"{C}.0.parameters.0",
            "needs as its type one of text, currency, date_time",
        ),
        ([body({"text": "a"})], f"{C}.0.parameters.0", "needs as its type one of text, "),
        ([button("phone_number", 0)], f"{C}.0", "needs as its sub_type one of quick_reply, url, "),
        ([button("quick_reply", 0, suffix("a"))], f"{C}.0.parameters.0.type", ""),
        ([button("url", 0, payload("a"))], f"{C}.0.parameters.0.type", ""),
        ([button("voice_call", 0, suffix("a"))], f"{C}.0.parameters.0", "needs as its type one of"),
        ([{"type": "button", "sub_type": "url", "index": 0}], f"{C}.0.parameters", "is missing"),
        ([{**quick(0), "text": "a"}], f"{C}.0.text", "is unknown to messages of type template"),
        # How often
        ([header("text", "a"), header("text", "b")], C, "have one type twice"),
        ([body("a"), body("a")], C, "have one type twice"),
        ([offer(), offer()], C, "have one type twice"),
        ([quick(0), quick("0")], C, "have one button's index twice"),
        ([{**header("text", "a"), "parameters": []}], f"{C}.0.parameters", "has 0 items"),
        (
            [{"type": "header", "parameters": [suffix("a"), suffix("b")]}],
            f"{C}.0.parameters",
            "has 2 items",
        ),
        ([button("quick_reply", 0)], f"{C}.0.parameters", "has 0 items, at least 1"),
        ([{"type": "limited_time_offer", "parameters": []}], f"{C}.0.parameters", "has 0 items"),
        *[
            ([quick(index)], f"{C}.0.index", "is no place of a button, 0 to 9")
            for index in (10, -1, "", "a", "00", "１")
        ],
        ([quick(True)], f"{C}.0.index", ""),
        ([quick(1.0)], f"{C}.0.index", ""),
        # Values
        *[
            ([body(text)], f"{C}.0.parameters.0.text", detail)
            for text, detail in (
                ("", "is empty"),
                ("a\nb", "has a line break, a tab or more than four spaces in a row"),
                ("a\rb", "has a line break"),
                ("a\tb", "has a line break"),
                ("a" + " " * 5 + "b", "has a line break"),
                ("a" * 32_769, "has 32769 characters, the limit is 32768"),
            )
        ],
        ([header("text", "a\nb")], f"{C}.0.parameters.0.text", "has a line break"),
        ([button("url", 0, suffix("a\nb"))], f"{C}.0.parameters.0.text", "has a line break"),
        (
            [button("url", 0, suffix("a" * 2_001))],
            f"{C}.0.parameters.0.text",
            "has 2001 characters",
        ),
        ([button("quick_reply", 0, payload(""))], f"{C}.0.parameters.0.payload", "is empty"),
        (
            [button("copy_code", 0, {"type": "coupon_code", "coupon_code": "a" * 21})],
            f"{C}.0.parameters.0.coupon_code",
            "has 21 characters, the limit is 20",
        ),
        (
            [body({"type": "currency", "currency": {"fallback_value": "$1", "code": "MXN"}})],
            f"{C}.0.parameters.0.currency.amount_1000",
            "is missing",
        ),
        (
            [body({"type": "date_time", "date_time": {"day_of_month": 4}})],
            f"{C}.0.parameters.0.date_time.fallback_value",
            "is missing",
        ),
        # Names
        ([body("a", b="b")], C, "mix parameters with and without a parameter_name"),
        ([header("text", "a"), body(b="b")], C, "mix parameters with and without"),
        (
            [body("a"), carousel(card(0, body(b="b")), card(1, body(b="b")))],
            C,
            "mix parameters with and without",
        ),
        (
            [
                {
                    "type": "body",
                    "parameters": [{"type": "text", "parameter_name": "a", "text": "1"}] * 2,
                }
            ],
            f"{C}.0.parameters",
            "have one parameter_name twice",
        ),
        # Files
        ([header("image", {"id": "7", "caption": "a"})], f"{C}.0.parameters.0.image.caption", ""),
        ([header("image", {"id": "7", "link": "https://a.example"})], None, "exactly one of id"),
        ([header("video", {})], f"{C}.0.parameters.0.video", "needs exactly one of id and link"),
        (
            [header("document", {"link": "a.pdf"})],
            f"{C}.0.parameters.0.document.link",
            "is no http",
        ),
        (
            [header("location", {"latitude": 91, "longitude": 0})],
            None,
            "is no number from -90 to 90",
        ),
        ([header("product", {"product_retailer_id": "a"})], None, "catalog_id is missing"),
        # Cards
        ([carousel(picture(0))], f"{C}.0.cards", "has 1 items, at least 2"),
        ([carousel(*[picture(n % 10) for n in range(11)])], f"{C}.0.cards", "has 11 items"),
        ([carousel(picture(1), picture(1))], f"{C}.0.cards", "have one card_index twice"),
        ([carousel(picture(0), picture(10))], f"{C}.0.cards.1.card_index", "is above 9"),
        ([carousel(picture(0), card(1))], f"{C}.0.cards.1.components", "has 0 items"),
        (
            [carousel(picture(0), card(1, carousel(picture(0), picture(1))))],
            f"{C}.0.cards.1.components.0",
            "needs as its type one of header, body, button",
        ),
        (
            [carousel(picture(0), card(1, quick(0), quick(0)))],
            f"{C}.0.cards.1.components",
            "have one button's index twice",
        ),
        # Products, bills, calls, offers
        ([products(15, 16)], None, "sections has 31 products in all, the limit is 30"),
        ([products(*[1] * 11)], None, "sections has 11 items, the limit is 10"),
        ([products(0)], None, "product_items has 0 items"),
        ([button("mpm", 0, action(sections=[]))], None, "sections has 0 items"),
        ([button("order_details", 0, action(order_details={}))], None, "is missing"),
        ([button("flow", 0, action(screen="A"))], None, "screen is unknown"),
        (
            [button("voice_call", 0, {"type": "ttl_minutes", "ttl_minutes": 43_201})],
            f"{C}.0.parameters.0.ttl_minutes",
            "is above 43200",
        ),
        ([offer(-1)], None, "expiration_time_ms is below 0"),
    ],
)
def test_what_meta_refuses_is_refused_with_its_place(
    components: list[Any], field: str | None, detail: str
) -> None:
    error = fault(sent(*components))
    if field is not None:
        assert error.field == field
    assert detail in error.detail


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"language": {"code": "es"}}, "message.template.name"),
        ({"name": "Pedido", "language": {"code": "es"}}, "message.template.name"),
        ({"name": "a" * 513, "language": {"code": "es"}}, "message.template.name"),
        ({"name": "a"}, "message.template.language"),
        ({"name": "a", "language": "es"}, "message.template.language"),
        ({"name": "a", "language": {}}, "message.template.language.code"),
        ({"name": "a", "language": {"code": "es MX"}}, "message.template.language.code"),
        ({"name": "a", "language": {"code": "es", "policy": "any"}}, None),
        ({"name": "a", "language": {"code": "es"}, "namespace": "a"}, "message.template.namespace"),
        ({"name": "a", "language": {"code": "es"}, "components": {}}, C),
    ],
)
def test_a_template_has_a_name_a_language_and_nothing_unknown(
    content: dict[str, Any], field: str | None
) -> None:
    error = fault({"type": "template", "template": content})
    assert field is None or error.field == field


@pytest.mark.parametrize("code", ["es", "es_MX", "fil", "prs_AF", "zh_CN"])
def test_metas_language_codes_pass(code: str) -> None:
    assert read(template("a", language={"code": code})).warnings == ()


def test_four_spaces_and_every_limit_itself_pass() -> None:
    for components in (
        [body("a    b")],
        [body("a" * 1_024)],
        [button("url", 0, suffix("a" * 2_000))],
        [button("copy_code", 0, {"type": "coupon_code", "coupon_code": "a" * 15})],
        [products(15, 15)],
        [products(*[3] * 10)],
        [quick(index) for index in range(10)],
        [carousel(*[picture(n) for n in range(10)])],
        [button("catalog", 0, action())],
        [button("flow", 0, action())],
        [body(a="1"), header("image", {"id": "7"})],
        [],
    ):
        assert passed(*components).warnings == ()


def test_words_in_capitals_and_places_as_numbers_are_sent_as_meta_documents_them() -> None:
    message = passed(
        {"type": "BODY", "parameters": [{"type": "TEXT", "text": "Lía"}]},
        {
            "type": "CAROUSEL",
            "cards": [
                card(
                    n,
                    {"type": "HEADER", "parameters": [{"type": "IMAGE", "image": {"id": "7"}}]},
                    {
                        "type": "BUTTON",
                        "sub_type": "QUICK_REPLY",
                        "index": 0,
                        "parameters": [{"type": "PAYLOAD", "payload": "A"}],
                    },
                )
                for n in (0, 1)
            ],
        },
    )
    cards = [picture(n) for n in (0, 1)]
    for one in cards:
        one["components"].append(button("quick_reply", "0", payload("A")))
    assert message.body() == sent(body("Lía"), carousel(*cards))
    assert message.warnings == ()


@pytest.mark.parametrize(
    ("components", "place"),
    [
        ([{"type": "hologram", "parameters": [None, {"a": 1}], "depth": None}], "0"),
        ([body("a"), {"type": "footer", "text": "a"}], "1"),
        ([{"type": "button", "sub_type": "reminder", "index": 77}], "0"),
        ([header("hologram", {"id": None})], "0.parameters.0"),
        ([body({"type": "emoji", "emoji": "🙂"})], "0.parameters.0"),
        ([carousel(card(0, {"type": "price", "a": []}), picture(1))], "0.cards.0.components.0"),
    ],
)
def test_what_meta_adds_later_passes_whole_with_a_warning(
    components: list[Any], place: str
) -> None:
    message = passed(*components)
    assert message.body() == sent(*components)
    assert message.warnings == (
        f"{C}.{place} is of a type that is not known here: it is passed to Meta unchecked",
    )


def test_beside_something_new_the_rest_is_checked() -> None:
    error = fault(sent({"type": "hologram"}, body("")))
    assert error.field == f"{C}.1.parameters.0.text"
    assert len(error.extra["errors"]) == 1


def test_what_only_some_of_metas_sources_allow_passes_with_a_warning() -> None:
    coupon = {"type": "coupon_code", "coupon_code": "a" * 16}
    assert "strictest limit known is 15" in passed(button("copy_code", 0, coupon)).warnings[0]
    assert "strictest limit known is 1024" in passed(body("a" * 1_025)).warnings[0]
    assert "marketing messages API" in passed(header("gif", {"id": "7"})).warnings[0]


def test_no_fault_repeats_what_a_person_is_told() -> None:
    error = fault(sent(body("secreto\n")))
    assert "secreto" not in str(error.extra) + error.detail


def test_products_are_those_of_interactive_messages() -> None:
    message = passed(button("mpm", "0", action(sections=SECTIONS)))
    assert message.body() == sent(button("mpm", "0", action(sections=SECTIONS)))
