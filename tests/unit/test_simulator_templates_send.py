"""Templates sent to the simulated Meta: held against their definitions, and shown on the phone."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browsing import chromium
from tests.simulator_run import FIRST, Simulator
from tests.template_messages import (
    TEMPLATES,
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

Json = dict[str, Any]
STORED = Path(__file__).resolve().parents[1] / "payloads" / "templates"
NUMBER = "number of localizable_params ({}) does not match the expected number of params ({})"
SUB_TYPES = (
    "{BOOKING_CONFIRMATION, CATALOG, COPY_CODE, FLOW, MPM, ORDER_DETAILS, QUICK_REPLY, REMINDER,"
    " URL, VOICE_CALL}"
)
IMAGE = header("image", {"link": "https://img.example/t.jpg"})


@pytest.fixture
def meta(running: Simulator) -> Simulator:
    running.start_afresh()
    running.http.delete("/simulator/templates").raise_for_status()
    return running


def stored(name: str) -> Json:
    told: Json = json.loads((STORED / f"{name}.json").read_bytes())
    return told


def store(meta: Simulator, told: Json) -> str:
    given = {key: part for key, part in told.items() if key not in ("id", "status")}
    answer = meta.http.post("/simulator/templates", json={"waba_id": FIRST.waba_id, **given})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def stored_for(meta: Simulator, name: str) -> Json:
    """Give the account the template of that message; return the message."""
    store(meta, stored(name))
    message = TEMPLATES[name].body()
    message.pop("context", None)
    return message


def refused(meta: Simulator, message: Json) -> tuple[int, int, str]:
    """Return HTTP status, code and details of a refused send."""
    answer = meta.send(body=message)
    error = answer.json()["error"]
    return answer.status_code, error["code"], error.get("error_data", {}).get("details", "")


def tap(*targets: Json) -> Json:
    """Where a tap on the message leads, in place of a button's own address."""
    word = "tap_target_configuration"
    return {"type": word, "parameters": [{"type": word, word: [*targets]}]}


def as_sent(name: str, *components: Any) -> Json:
    """Return a message with the template of another and components of its own."""
    told = stored(name)
    return template(told["name"], *components, language={"code": told["language"]})


@pytest.mark.parametrize("name", TEMPLATES)
def test_what_fits_its_template_is_accepted_and_arrives(meta: Simulator, name: str) -> None:
    message = stored_for(meta, name)
    meta.upload_files_of(message)
    answer = meta.send(body=message)
    assert answer.status_code == 200, answer.text
    (accepted,) = answer.json()["messages"]
    assert accepted["message_status"] == "accepted"
    meta.flush()
    assert meta.backend.words(accepted["id"]) == ["sent", "delivered"]
    (priced,) = {one["pricing"]["category"] for one in meta.backend.statuses(accepted["id"])}
    assert priced == stored(name)["category"].lower()


@pytest.mark.parametrize(
    ("name", "components", "code", "details"),
    [
        (
            "template_values",
            [header("text", "a"), body("a")],
            132000,
            f"body: {NUMBER.format(1, 3)}",
        ),
        (
            "template_values",
            [body("a", "b", "c")],
            132000,
            f"header: {NUMBER.format(0, 1)}",
        ),
        ("template", [body("a")], 132000, "body: number of localizable_params (1)"),
        ("template_named", [body("a", "b")], 132000, "header: number of localizable_params (0)"),
        ("template_values", [header("text", "a"), body(a="1")], 132018, "have no names"),
        ("template_image", [], 132012, "header: Format mismatch, expected IMAGE, received UNKNOWN"),
        (
            "template_image",
            [header("video", {"link": "https://a.example/a.mp4"})],
            132012,
            "header: Format mismatch, expected IMAGE, received VIDEO",
        ),
        ("template", [IMAGE], 132012, "header: Format mismatch, expected TEXT, received IMAGE"),
        (
            "template_image",
            [IMAGE],
            131008,
            "buttons: Button at index 1 of type Url requires a parameter",
        ),
        (
            "template_image",
            [IMAGE, button("url", 1)],
            131008,
            "buttons: Button at index 1 of type Url requires a parameter",
        ),
        (
            "template_reply",
            [button("url", 0, suffix("a"))],
            100,
            "buttons: Button at index 0 is of type Call and does not support parameters",
        ),
        (
            "template_reply",
            [button("url", 1, suffix("a"))],
            132018,
            "buttons: Button at index 1 of type Url does not require parameters",
        ),
        (
            "template_image",
            [IMAGE, button("url", 1, suffix("a")), button("url", 0, suffix("a"))],
            132018,
            "buttons: Button at index 0 is of type QuickReply",
        ),
        ("template", [button("url", 0, suffix("a"))], 132018, "there is no button at that index"),
        ("template_products", [], 131008, "Button at index 0 of type Mpm requires a parameter"),
        (
            "template_offer",
            [IMAGE, body("a"), button("url", 1, suffix("a"))],
            131008,
            "Button at index 0 of type CopyCode requires a parameter",
        ),
        (
            "template_offer",
            [
                IMAGE,
                body("a"),
                button("copy_code", 0, {"type": "coupon_code", "coupon_code": "a"}),
                button("url", 1, suffix("a")),
            ],
            131008,
            "limited_time_offer: expiration_time_ms is required",
        ),
        ("template", [offer()], 132018, "limited_time_offer: the template has none"),
        ("template_carousel", [body("a")], 132018, "number of cards (0) does not match"),
        (
            "template_carousel",
            [body("a"), carousel(*[card(n, IMAGE, body("5%")) for n in (0, 1)])],
            131008,
            "card 0 buttons: Button at index 1 of type Url requires a parameter",
        ),
        (
            "template_values",
            [header("text", "a"), body("a", "b", "c" * 1_000)],
            132005,
            "the translated text is too long",
        ),
    ],
)
def test_what_does_not_fit_is_refused_as_meta_does(
    meta: Simulator, name: str, components: list[Any], code: int, details: str
) -> None:
    store(meta, stored(name))
    status, given, told = refused(meta, as_sent(name, *components))
    assert (status, given) == (400, code)
    assert details in told


def test_a_named_template_wants_its_own_names(meta: Simulator) -> None:
    message = stored_for(meta, "template_named")
    unnamed = copy.deepcopy(message)
    for one in unnamed["template"]["components"]:
        for parameter in one["parameters"]:
            del parameter["parameter_name"]
    assert refused(meta, unnamed) == (400, 100, "Parameter name is missing or empty")
    message["template"]["components"][1]["parameters"][0]["parameter_name"] = "name"
    assert refused(meta, message)[1] == 132018


@pytest.mark.parametrize(
    ("components", "code", "details"),
    [
        (
            [button("phone_number", 0, suffix("a"))],
            100,
            f"template['components'][0]['sub_type'] must be one of {SUB_TYPES} - got",
        ),
        ([{"type": "hologram"}], 100, "['components'][0]['type'] must be one of {BODY, BUTTON"),
        ([{}], 131008, "template['components'][0]['type']"),
        ([button("url", 10, suffix("a"))], 100, "['index'] must be an integer from 0 to 9"),
        ([body("a\nb")], 132018, "cannot have new-line/tab characters or more than 4 consecutive"),
        ([body("a     b")], 132018, "cannot have new-line/tab characters"),
        ([body("")], 131008, "Parameter of type text is missing text value"),
        ([body({"type": "emoji"})], 100, "is not a type of a template's parameter"),
        ([body({"type": "currency"})], 131008, "['currency']"),
        ([header("image", {})], 131008, "['image']['id'] or"),
        ([header("image", {"id": "404"})], 100, "not a valid whatsapp business account media"),
        ([button("quick_reply", 0, payload(""))], 131008, "['payload']"),
        ([carousel(card(0), card(0))], 131009, "every card_index must be used once"),
        ([carousel(*[card(n) for n in (0, 10)])], 131009, "must be from 0 to 9"),
        ([offer(-1)], 131009, "expiration_time_ms"),
        ([tap({"title": "Shop", "url": "shop"})], 131009, "is not a valid http or https address"),
        ([tap({"url": "https://a.example"})], 131008, "['title']"),
        ([tap()], 131009, "must hold 1 to 1 items"),
    ],
)
def test_shapes_are_checked_where_nobody_knows_the_template(
    meta: Simulator, components: list[Any], code: int, details: str
) -> None:
    status, given, told = refused(meta, template("a", *components))
    assert (status, given) == (400, code)
    assert details in told


def test_an_unknown_template_is_refused_once_the_account_has_one(meta: Simulator) -> None:
    unknown = template("nobody_knows", body("a"))
    wamid = meta.sent(body=unknown)
    assert [one["preview"] for one in meta.shown("525550001234")] == ["Template nobody_knows"]
    store(meta, stored("template"))
    assert refused(meta, unknown) == (
        404,
        132001,
        "template name (nobody_knows) does not exist in es_MX",
    )
    assert refused(meta, template("pedido_listo", language={"code": "en"}))[1] == 132001
    meta.flush()
    assert meta.backend.words(wamid) == ["sent", "delivered"]


@pytest.mark.parametrize(
    ("status", "code"),
    [("PAUSED", 132015), ("DISABLED", 132016), ("PENDING", 132001), ("REJECTED", 132001)],
)
def test_only_an_approved_template_is_sent(meta: Simulator, status: str, code: int) -> None:
    template_id = store(meta, stored("template"))
    decided = meta.http.post(f"/simulator/templates/{template_id}", json={"status": status})
    decided.raise_for_status()
    assert refused(meta, TEMPLATES["template"].body())[1] == code


def seen(meta: Simulator) -> Json:
    (message,) = meta.shown("525550001234")
    return message


def test_the_phone_shows_the_template_filled_in(meta: Simulator) -> None:
    meta.sent(body=stored_for(meta, "template_values"))
    message = seen(meta)
    text = "Lía, su anticipo de $100.99 llegó. Le esperamos el 4 de julio de 2026 en el taller."
    assert message["shown"] == {
        "name": "cita_confirmada",
        "category": "utility",
        "header": {"type": "text", "text": "Hola, Lía"},
        "body": text,
        "footer": "Responda para cambiar la cita",
    }
    assert message["preview"] == text


def test_names_offers_codes_and_cards_are_filled_in(meta: Simulator) -> None:
    for name in ("template_named", "template_offer", "template_carousel", "template_code"):
        message = stored_for(meta, name)
        meta.upload_files_of(message)
        meta.sent(body=message)
    named, offered, cards, code = [one["shown"] for one in meta.shown("525550001234")]
    assert named["body"] == "Hola Lía, su pedido 118 está listo, Lía."
    assert offered["offer"] == {"text": "¡Se acaba!", "ends": 1_795_000_000_000}
    assert offered["buttons"] == [
        {"type": "copy_code", "text": "Copiar código", "code": "OTONO25"},
        {"type": "url", "text": "Comprar", "url": "https://taller.example/r/otono"},
    ]
    assert [one["body"] for one in cards["cards"]] == [
        "Tazas con 10% menos",
        "Platos con 20% menos",
    ]
    assert cards["cards"][1]["buttons"] == [
        {"type": "quick_reply", "text": "Más", "payload": "more-1"},
        {"type": "url", "text": "Comprar", "url": "https://taller.example/c/plato"},
    ]
    assert code["buttons"][0]["url"].endswith("code=otpJ$FpnYnP")


def tapped(meta: Simulator) -> list[Json]:
    meta.flush()
    return [one for one in meta.backend.messages() if one["type"] == "button"]


def test_a_tap_on_a_quick_reply_comes_back_with_its_payload(meta: Simulator) -> None:
    message = stored_for(meta, "template_image")
    meta.upload_files_of(message)
    wamid = meta.sent(body=message)
    meta.play("525550001234", type="button", button_id="STOP-42", reply_to=wamid)
    (reply,) = tapped(meta)
    assert reply["button"] == {"payload": "STOP-42", "text": "No recibir más"}
    assert reply["context"]["id"] == wamid


def test_without_a_payload_the_label_comes_back(meta: Simulator) -> None:
    message = stored_for(meta, "template_image")
    meta.upload_files_of(message)
    del message["template"]["components"][2]
    meta.sent(body=message)
    meta.play("525550001234", type="button", button_id="No recibir más")
    assert tapped(meta)[0]["button"] == {"payload": "No recibir más", "text": "No recibir más"}


def test_a_cards_button_is_tapped_alike(meta: Simulator) -> None:
    message = stored_for(meta, "template_carousel")
    meta.upload_files_of(message)
    wamid = meta.sent(body=message)
    meta.play("525550001234", type="button", button_id="more-1")
    (reply,) = tapped(meta)
    assert (reply["button"]["payload"], reply["context"]["id"]) == ("more-1", wamid)


@pytest.fixture
def page(meta: Simulator) -> Iterator[Page]:
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(10_000)
        yield page


def test_the_page_shows_the_bubble_and_its_buttons(meta: Simulator, page: Page) -> None:
    sent = stored_for(meta, "template_image")
    cards = stored_for(meta, "template_carousel")
    coupon = stored_for(meta, "template_offer")
    for message in (sent, cards, coupon):
        meta.upload_files_of(message)
    meta.play("525550001234", text="hola")
    ids = [meta.sent(body=message) for message in (sent, cards, coupon)]
    page.goto(meta.url)
    first, second, third = [page.locator(f'[data-id="{one}"]') for one in ids]

    expect(first).to_contain_text("Rebajas de otoño en tazas.")
    expect(first.locator("img.photo")).to_be_visible()
    address = "https://taller.example/tienda/otono?c=118"
    expect(first.get_by_role("link", name="Ver la tienda")).to_have_attribute("href", address)
    expect(second.locator(".carousel li")).to_have_count(2)
    expect(third).to_contain_text("¡Se acaba!")
    expect(third.get_by_role("button", name="Copiar código: OTONO25")).to_be_enabled()

    reply = first.get_by_role("button", name="No recibir más")
    reply.click()
    expect(reply).to_be_disabled()
    assert tapped(meta)[0]["button"]["payload"] == "STOP-42"
    second.get_by_role("button", name="Más").nth(1).click()
    expect(second.get_by_role("button", name="Más").nth(1)).to_be_disabled()
    assert [one["button"]["payload"] for one in tapped(meta)] == ["STOP-42", "more-1"]
