"""Templates as the person will see them, from a message or from their own examples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from switchboard.outbox.outgoing import Outgoing
from switchboard.whatsapp.templates import Definition, Preview, render
from switchboard.whatsapp.templates.render import Button, Card, Header, Offer
from tests.template_messages import TEMPLATES, body, template

STORED = Path(__file__).resolve().parents[1] / "payloads" / "templates"
CDN = "https://scontent.whatsapp.example/v/t61/"
OTP = "https://www.whatsapp.com/otp/code/?otp_type=COPY_CODE&code_expiration_minutes=10&code=otp"


def definition(name: str) -> Definition:
    return Definition.of(json.loads((STORED / f"{name}.json").read_bytes()))


def filled(name: str) -> Preview:
    return render(definition(name), TEMPLATES[name].body())


def with_body(text: str, **more: Any) -> Definition:
    return Definition.of({"name": "a", "components": [{"type": "BODY", "text": text}], **more})


def preview(name: str, **parts: Any) -> Preview:
    nothing: dict[str, Any] = {
        "header": None,
        "body": None,
        "footer": None,
        "buttons": (),
        "offer": None,
        "cards": (),
    }
    return Preview(name=name, **(nothing | parts))


def test_texts_are_filled_in_by_order_money_and_dates_by_their_fallback() -> None:
    assert filled("template_values") == preview(
        "cita_confirmada",
        header=Header("text", text="Hola, Lía"),
        body="Lía, su anticipo de $100.99 llegó. Le esperamos el 4 de julio de 2026 en el taller.",
        footer="Responda para cambiar la cita",
    )


def test_texts_are_filled_in_by_name_wherever_the_name_stands() -> None:
    assert filled("template_named") == preview(
        "pedido_listo",
        header=Header("text", text="Taller Añil le escribe"),
        body="Hola Lía, su pedido 118 está listo, Lía.",
    )


def test_a_header_has_the_messages_file_and_buttons_what_a_tap_does() -> None:
    assert filled("template_image") == preview(
        "rebaja",
        header=Header("image", media={"id": "770100000000901"}),
        body="Rebajas de otoño en *tazas*.",
        footer="Toque abajo para no recibir más",
        buttons=(
            Button("quick_reply", "No recibir más", payload="STOP-42"),
            Button("url", "Ver la tienda", url="https://taller.example/tienda/otono?c=118"),
        ),
    )


def test_buttons_that_need_nothing_are_shown_too() -> None:
    assert filled("template_reply").buttons == (
        Button("phone_number", "Call us", phone_number="+525550100300"),
        Button("url", "Where we are", url="https://taller.example/map"),
    )


def test_an_offer_has_its_end_and_its_code() -> None:
    shown = filled("template_offer")
    assert shown.offer == Offer("¡Se acaba!", 1_795_000_000_000)
    assert shown.buttons[0] == Button("copy_code", "Copiar código", code="OTONO25")
    assert shown.buttons[1].url == "https://taller.example/r/otono"


def test_a_code_is_in_the_text_and_behind_the_button() -> None:
    shown = filled("template_code")
    assert shown.body == (
        "Tu código de verificación es *J$FpnYnP*. Por tu seguridad, no lo compartas."
    )
    assert shown.buttons == (Button("url", "Copiar código", url=f"{OTP}J$FpnYnP"),)


def test_each_card_is_filled_in_with_what_its_index_names() -> None:
    message = TEMPLATES["template_carousel"].body()
    cards = message["template"]["components"][1]["cards"]
    cards.reverse()
    shown = render(definition("template_carousel"), message)
    assert shown.body == "Lía, la nueva colección."
    assert shown.cards == tuple(
        Card(
            header=Header("image", media={"id": image}),
            body=text,
            buttons=(
                Button("quick_reply", "Más", payload=f"more-{index}"),
                Button("url", "Comprar", url=f"https://taller.example/c/{end}"),
            ),
        )
        for index, (image, text, end) in enumerate(
            [
                ("770100000000901", "Tazas con 10% menos", "taza"),
                ("770100000000902", "Platos con 20% menos", "plato"),
            ]
        )
    )


def test_without_a_message_the_examples_are_shown() -> None:
    assert render(definition("template_values")) == preview(
        "cita_confirmada",
        header=Header("text", text="Hola, Ana"),
        body="Ana, su anticipo de $50.00 llegó. Le esperamos el 1 de enero de 2026 en el taller.",
        footer="Responda para cambiar la cita",
    )
    assert render(definition("template_named")).body == ("Hola Ana, su pedido 100 está listo, Ana.")
    shown = render(definition("template_image"))
    assert shown.header == Header("image", media={"link": f"{CDN}taza.jpg"})
    assert shown.buttons == (
        Button("quick_reply", "No recibir más"),
        Button("url", "Ver la tienda", url="https://taller.example/tienda/verano"),
    )
    offer = render(definition("template_offer"))
    assert offer.offer == Offer("¡Se acaba!")
    assert offer.buttons[0].code == "VERANO10"
    # An example that is no whole address is the end of one.
    assert offer.buttons[1].url == "https://taller.example/r/verano"
    assert [one.body for one in render(definition("template_carousel")).cards] == [
        "Tazas con 5% menos",
        "Platos con 5% menos",
    ]


def test_a_handle_is_no_address() -> None:
    assert render(definition("template_document")).header == Header("document")


def test_a_variable_without_a_value_stays() -> None:
    of = with_body("Hola {{1}}, {{2}} y {{3}}")
    assert render(of).body == "Hola {{1}}, {{2}} y {{3}}"
    assert render(of, template("a", body("Lía"))).body == "Hola Lía, {{2}} y {{3}}"
    assert render(of, template("a")).body == "Hola {{1}}, {{2}} y {{3}}"


def test_parameters_follow_the_numbers_of_variables_not_their_places() -> None:
    shown = render(with_body("{{2}} y {{10}} y {{1}}"), template("a", body("a", "b", "j")))
    assert shown.body == "b y j y a"


def test_a_value_is_never_read_as_a_variable() -> None:
    shown = render(with_body("{{1}} y {{2}}"), template("a", body("{{2}}", "b")))
    assert shown.body == "{{2}} y b"


def test_a_code_just_made_has_metas_words() -> None:
    made = Definition.of(
        {
            "name": "codigo",
            "category": "AUTHENTICATION",
            "components": [
                {"type": "BODY", "add_security_recommendation": True},
                {"type": "FOOTER", "code_expiration_minutes": 10},
                {"type": "BUTTONS", "buttons": [{"type": "OTP", "otp_type": "COPY_CODE"}]},
            ],
        }
    )
    assert render(made, template("codigo", body("123456"))) == preview(
        "codigo",
        body="123456 is your verification code. For your security, do not share this code.",
        footer="This code expires in 10 minutes.",
        buttons=(Button("otp", "Copy code"),),
    )


@pytest.mark.parametrize(
    ("of", "line"),
    [
        (with_body("Hola\n\n  Lía"), "Hola Lía"),
        (with_body("a" * 200), "a" * 200),
        (with_body("a" * 201), "a" * 199 + "…"),
        (with_body(""), "a"),
        (Definition.of({"name": "a", "components": [{"type": "HEADER", "text": "Hoy"}]}), "Hoy"),
        (
            Definition.of({"name": "a", "components": [{"type": "HEADER", "format": "IMAGE"}]}),
            "[image]",
        ),
    ],
)
def test_the_preview_is_one_line(of: Definition, line: str) -> None:
    assert render(of).text == line


def test_a_thread_shows_the_name_of_a_template_where_nobody_rendered_it() -> None:
    message = TEMPLATES["template_values"].body()
    assert Outgoing(phone_number_id="1", phone="1", message=message).preview == "cita_confirmada"
