"""Messages held against stored definitions: what does not fit is refused with its place.

The definitions are in tests/payloads/templates, one for each message of tests/template_messages.py.
"""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.whatsapp.errors import InvalidMessage
from switchboard.whatsapp.templates import Definition, check, render
from tests.template_messages import (
    TEMPLATES,
    action,
    body,
    button,
    card,
    carousel,
    code,
    header,
    offer,
    payload,
    suffix,
    template,
)

STORED = Path(__file__).resolve().parents[1] / "payloads" / "templates"
C = "message.template.components"
IMAGE = header("image", {"id": "7"})


def stored(name: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((STORED / f"{name}.json").read_bytes())
    return told


def definition(name: str) -> Definition:
    return Definition.of(stored(name))


def with_components(*components: Any, **more: Any) -> Definition:
    told = {"name": "a", "language": "es", "category": "UTILITY", **more}
    return Definition.of({**told, "components": list(components)})


def faults(of: Definition, message: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(InvalidMessage) as caught:
        check(of, message)
    error = caught.value
    told = error.extra["errors"]
    assert (error.field, error.detail) == (told[0]["field"], told[0]["detail"])
    assert error.status == 422
    return [(one["field"], one["detail"].removeprefix(f"{one['field']} ")) for one in told]


def test_there_is_a_definition_for_every_message() -> None:
    assert sorted(TEMPLATES) == sorted(path.stem for path in STORED.glob("*.json"))


@pytest.mark.parametrize("name", TEMPLATES)
def test_each_message_fits_its_definition(name: str) -> None:
    assert check(definition(name), TEMPLATES[name].body()) == ()


@pytest.mark.parametrize("name", TEMPLATES)
def test_without_what_it_gives_a_message_does_not_fit_unless_nothing_is_needed(name: str) -> None:
    bare = TEMPLATES[name].body()
    bare["template"].pop("components", None)
    optional = {"template", "template_reply", "template_catalog", "template_call"}
    if name in optional:
        assert check(definition(name), bare) == ()
    elif name == "template_flow":
        (told,) = check(definition(name), bare)
        assert "flow_token" in told
    else:
        assert {field for field, _ in faults(definition(name), bare)} == {C}


@pytest.mark.parametrize(
    ("name", "components", "expected"),
    [
        # Numbers of parameters
        (
            "template_values",
            [header("text", "a"), body("a", "b")],
            [(f"{C}.1.parameters", "are 2, and the template's body has 3")],
        ),
        (
            "template_values",
            [header("text", "a"), body("a", "b", "c", "d")],
            [(f"{C}.1.parameters", "are 4, and the template's body has 3")],
        ),
        (
            "template_values",
            [body("a", "b", "c")],
            [(C, "need a header with values for the template's 1 variable")],
        ),
        (
            "template_values",
            [header("text", "a")],
            [(C, "need a body with values for the template's 3 variables")],
        ),
        ("template", [body("a")], [(f"{C}.0.parameters", "are 1, and the template's body has 0")]),
        # Names
        (
            "template_named",
            [
                {
                    "type": "header",
                    "parameters": [{"type": "text", "parameter_name": "shop", "text": "a"}],
                },
                body(first_name="a", orderid="b"),
            ],
            [
                (
                    f"{C}.1.parameters.1.parameter_name",
                    "is no variable of the template's body: first_name, order_id",
                ),
                (f"{C}.1.parameters", "lack the body's order_id"),
            ],
        ),
        (
            "template_values",
            [body(a="1", b="2", c="3")],
            [
                *[
                    (
                        f"{C}.0.parameters.{n}.parameter_name",
                        "is set, and the template's variables have no names",
                    )
                    for n in range(3)
                ],
                (C, "need a header with values for the template's 1 variable"),
            ],
        ),
        # Headers
        (
            "template_image",
            [button("url", 1, suffix("a"))],
            [(C, "need a header with the template's image")],
        ),
        (
            "template_image",
            [header("video", {"id": "7"}), button("url", 1, suffix("a"))],
            [(f"{C}.0.parameters.0.type", "is not image, as the template's header is")],
        ),
        (
            "template_image",
            [header("text", "a"), button("url", 1, suffix("a"))],
            [(f"{C}.0.parameters.0.type", "is not image, as the template's header is")],
        ),
        (
            "template_location",
            [IMAGE],
            [(f"{C}.0.parameters.0.type", "is not location, as the template's header is")],
        ),
        ("template", [IMAGE], [(f"{C}.0", "is superfluous: the template has no header")]),
        (
            "template_products",
            [IMAGE, button("mpm", 0, action(sections=[]))],
            [(f"{C}.0.parameters.0.type", "is no text, and the template's header is one")],
        ),
        (
            "template_products",
            [header("text", "a"), button("mpm", 0, action(sections=[]))],
            [(f"{C}.0.parameters", "are 1, and the template's header has 0")],
        ),
        # Buttons
        (
            "template_image",
            [IMAGE],
            [(C, "need a button of sub_type url for the template's button 1")],
        ),
        (
            "template_image",
            [IMAGE, button("url", 1)],
            [(f"{C}.1.parameters", "are missing")],
        ),
        (
            "template_image",
            [IMAGE, button("url", 1, suffix("a")), button("quick_reply", 2, payload("a"))],
            [(f"{C}.2.index", "is none of the template's buttons: it has 2")],
        ),
        (
            "template_image",
            [IMAGE, button("url", 1, suffix("a")), button("url", 0, suffix("a"))],
            [(f"{C}.2.sub_type", "is not quick_reply, as the template's button is")],
        ),
        (
            "template_image",
            [IMAGE, button("url", 1, suffix("a" * 1_980))],
            [
                (
                    f"{C}.1.parameters.0.text",
                    "makes the button's address longer than 2000 characters",
                )
            ],
        ),
        (
            "template_reply",
            [button("url", 1, suffix("a"))],
            [(f"{C}.0", "is superfluous: the address of the template's button is fixed")],
        ),
        (
            "template_reply",
            [button("quick_reply", 0, payload("a"))],
            [(f"{C}.0", "is superfluous: a button of type phone_number needs nothing")],
        ),
        (
            "template_offer",
            [IMAGE, body("a"), offer(), button("url", 1, suffix("a"))],
            [(C, "need a button of sub_type copy_code for the template's button 0")],
        ),
        (
            "template_products",
            [],
            [(C, "need a button of sub_type mpm for the template's button 0")],
        ),
        (
            "template_bill",
            [],
            [(C, "need a button of sub_type order_details for the template's button 0")],
        ),
        # Offers
        (
            "template_offer",
            [
                IMAGE,
                body("a"),
                button("copy_code", 0, {"type": "coupon_code", "coupon_code": "a"}),
                button("url", 1, suffix("a")),
            ],
            [(C, "need a limited_time_offer with the time when it ends")],
        ),
        (
            "template",
            [offer()],
            [(f"{C}.0", "is superfluous: the template has no limited-time offer")],
        ),
        # Codes
        (
            "template_code",
            code("1234567890123456"),
            [(f"{C}.0.parameters.0.text", "has 16 characters, and a code has at most 15")],
        ),
        (
            "template_code",
            code("123456", address="654321"),
            [(f"{C}.1.parameters.0.text", "is another code than the body's")],
        ),
        (
            "template_code",
            [body("123456")],
            [(C, "need a button of sub_type url for the template's button 0")],
        ),
        # Cards
        (
            "template_carousel",
            [body("a")],
            [(C, "need a carousel with the template's 2 cards")],
        ),
        (
            "template_image",
            [IMAGE, button("url", 1, suffix("a")), carousel(card(0), card(1))],
            [(f"{C}.2.cards", "are superfluous: the template has no carousel")],
        ),
    ],
)
def test_what_the_definition_does_not_allow_is_refused_with_its_place(
    name: str, components: list[Any], expected: list[tuple[str, str]]
) -> None:
    assert faults(definition(name), template("a", *components)) == expected


def full_card(index: int, *more: Any) -> dict[str, Any]:
    return card(index, IMAGE, body("5%"), button("url", 1, suffix("a")), *more)


@pytest.mark.parametrize("indexes", [(0,), (0, 1, 2), (1, 2), (0, 7)])
def test_there_are_as_many_cards_as_the_template_has(indexes: tuple[int, ...]) -> None:
    message = template("a", body("a"), carousel(*map(full_card, indexes)))
    told = f"are {len(indexes)} cards that are not the template's 2, counted from 0"
    assert faults(definition("template_carousel"), message) == [(f"{C}.1.cards", told)]


def test_each_card_is_held_against_the_card_in_its_place() -> None:
    of = definition("template_carousel")
    good = carousel(full_card(1), full_card(0, button("quick_reply", 0, payload("a"))))
    assert check(of, template("a", body("a"), good)) == ()
    bad = carousel(full_card(0), card(1, body("5%", "6%"), button("url", 0, suffix("a"))))
    at = f"{C}.1.cards.1.components"
    assert faults(of, template("a", body("a"), bad)) == [
        (at, "need a header with the template's image"),
        (f"{at}.0.parameters", "are 2, and the template's body has 1"),
        (f"{at}.1.sub_type", "is not quick_reply, as the template's button is"),
        (at, "need a button of sub_type url for the template's button 1"),
    ]


def test_parameters_of_a_named_template_have_names_and_files_none() -> None:
    told = stored("template_named")
    told["components"][0] = {"type": "HEADER", "format": "IMAGE"}
    of = Definition.of(told)
    assert check(of, template("a", IMAGE, body(first_name="a", order_id="b"))) == ()
    assert faults(of, template("a", IMAGE, body("a", "b")))[0] == (
        f"{C}.1.parameters.0.parameter_name",
        "is missing, and the template's variables have names",
    )


def test_where_nobody_said_so_the_variables_tell_whether_they_have_names() -> None:
    told = stored("template_named")
    del told["parameter_format"]
    assert Definition.of(told).is_named
    assert check(Definition.of(told), TEMPLATES["template_named"].body()) == ()
    assert not definition("template").is_named


def test_a_code_not_yet_approved_has_one_variable_and_a_button_that_copies_it() -> None:
    made = with_components(
        {"type": "BODY", "add_security_recommendation": True},
        {"type": "FOOTER", "code_expiration_minutes": 10},
        {"type": "BUTTONS", "buttons": [{"type": "OTP", "otp_type": "COPY_CODE"}]},
        category="AUTHENTICATION",
    )
    assert check(made, template("a", *code("123456"))) == ()
    assert [field for field, _ in faults(made, template("a"))] == [C, C]


def test_one_variable_twice_takes_one_parameter() -> None:
    of = with_components({"type": "BODY", "text": "{{2}} a {{1}} b {{2}} c {{ 1 }}"})
    assert check(of, template("a", body("x", "y"))) == ()
    assert faults(of, template("a", body("w", "x", "y", "z")))


def test_words_are_taken_in_either_case_and_places_as_numbers() -> None:
    message = TEMPLATES["template_image"].body()
    upper = json.loads(json.dumps(message).replace('"image"', '"IMAGE"', 1))
    for one in upper["template"]["components"]:
        one["type"] = one["type"].upper()
        if "sub_type" in one:
            one |= {"sub_type": one["sub_type"].upper(), "index": int(one["index"])}
    assert check(definition("template_image"), upper) == ()


@pytest.mark.parametrize(
    ("of", "message", "warning"),
    [
        (with_components(), template("a", body("a")), "is empty: nothing of the message"),
        (Definition.of({"components": "?"}), template("a"), "is empty"),
        (with_components({"type": "HOLOGRAM"}), template("a"), "a component of type hologram"),
        (
            with_components({"type": "HEADER", "format": "HOLOGRAM"}),
            template("a", header("hologram", {})),
            "header is of the format hologram, which cannot be checked",
        ),
        (
            with_components({"type": "BODY", "text": "a"}),
            template("a", {"type": "order_status"}),
            f"{C}.0 is of a type that cannot be checked",
        ),
        (
            with_components({"type": "BUTTONS", "buttons": [{"type": "REMINDER"}]}),
            template("a", button("reminder", 0)),
            f"{C}.0 is a button that cannot be checked",
        ),
        (
            with_components({"type": "BUTTONS", "buttons": [{"type": "REMINDER"}]}),
            template("a"),
            "button 0 is of a kind that cannot be checked",
        ),
        (
            with_components({"type": "LIMITED_TIME_OFFER", "limited_time_offer": {"text": "a"}}),
            template("a", offer()),
            "offer shows no end",
        ),
        (
            with_components({"type": "BODY", "text": "a {{1}} b"}),
            template("a", body("x" * 1_021)),
            f"{C}.0.parameters: the body has 1025 characters once filled in, over 1024",
        ),
        (
            with_components({"type": "HEADER", "format": "TEXT", "text": "a {{1}}"}),
            template("a", header("text", "x" * 59)),
            "the header has 61 characters once filled in, over 60",
        ),
    ],
)
def test_what_the_definition_does_not_tell_is_a_warning(
    of: Definition, message: dict[str, Any], warning: str
) -> None:
    (told,) = check(of, message)
    assert warning in told


def test_no_fault_repeats_what_the_message_says() -> None:
    message = template(
        "a", body(secreto="secreto"), button("secreto", 5, payload("secreto")), offer()
    )
    for name in TEMPLATES:
        told = faults(definition(name), message)
        assert "secreto" not in str(told)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inside: (
        st.lists(inside, max_size=4)
        | st.dictionaries(
            st.text(max_size=5) | st.sampled_from(["type", "text"]), inside, max_size=4
        )
    ),
    max_leaves=12,
)
ODD = JSON | st.sampled_from(
    ["HEADER", "BODY", "BUTTONS", "button", "IMAGE", "TEXT", "{{1}} a {{a}}", "NAMED", "url", "0"]
)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    found = [path]
    if isinstance(node, dict | list):
        for key, part in node.items() if isinstance(node, dict) else enumerate(node):
            found += places(part, (*path, key))
    return found


@st.composite
def damaged(draw: st.DrawFn, document: dict[str, Any]) -> Any:
    """A document with something odd in up to three places, or gone."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(document)))
        if not path:
            return draw(ODD)
        node = document
        for key in path[:-1]:
            node = node[key]
        if draw(st.booleans()):
            node[path[-1]] = draw(ODD)
        else:
            del node[path[-1]]
    return document


@given(data=st.data(), name=st.sampled_from(sorted(TEMPLATES)))
def test_no_definition_and_no_message_is_too_odd(data: st.DataObject, name: str) -> None:
    odd_definition = Definition.of(data.draw(damaged(stored(name)) | JSON))
    odd_message = data.draw(damaged(TEMPLATES[name].body()) | JSON)
    message = odd_message if isinstance(odd_message, dict) else {"template": odd_message}
    for of in (odd_definition, definition(name)):
        with suppress(InvalidMessage):
            assert all(isinstance(one, str) for one in check(of, message))
        assert isinstance(render(of, message).text, str)
    assert isinstance(render(odd_definition).text, str)
