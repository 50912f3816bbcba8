"""Template messages of each form as models, by the name of their payload file.

They are written as callers write them: Meta's words in either case, places as numbers or strings.
"""

from __future__ import annotations

from typing import Any

from switchboard.whatsapp.outbound import CheckedMessage
from switchboard.whatsapp.outbound.template import TemplateMessage

SPANISH = {"code": "es_MX"}


def template(
    name: str, *components: Any, language: dict[str, str] | None = None, **members: Any
) -> dict[str, Any]:
    """Return Meta's message object of a template."""
    content: dict[str, Any] = {"name": name, "language": language or SPANISH}
    if components:
        content["components"] = list(components)
    return {"type": "template", "template": content, **members}


def header(kind: str, content: Any) -> dict[str, Any]:
    """Return a header of that kind."""
    return {"type": "header", "parameters": [{"type": kind, kind: content}]}


def body(*values: Any, **named: str) -> dict[str, Any]:
    """Return a body: texts, or whole parameters, or texts by name."""
    parameters = [{"type": "text", "text": one} if isinstance(one, str) else one for one in values]
    parameters += [
        {"type": "text", "parameter_name": name, "text": text} for name, text in named.items()
    ]
    return {"type": "body", "parameters": parameters}


def button(kind: str, index: int | str, *parameters: Any) -> dict[str, Any]:
    """Return what a button needs."""
    return {"type": "button", "sub_type": kind, "index": index, "parameters": list(parameters)}


def payload(word: str) -> dict[str, Any]:
    """Return a quick reply's parameter."""
    return {"type": "payload", "payload": word}


def suffix(text: str) -> dict[str, Any]:
    """Return the parameter of a button's address."""
    return {"type": "text", "text": text}


def code(text: str, *, address: str | None = None) -> list[dict[str, Any]]:
    """Return both components of a one-time password."""
    return [body(text), button("url", 0, suffix(address or text))]


def offer(milliseconds: int = 1_795_000_000_000) -> dict[str, Any]:
    """Return the end of a limited-time offer."""
    end = {"expiration_time_ms": milliseconds}
    parameter = {"type": "limited_time_offer", "limited_time_offer": end}
    return {"type": "limited_time_offer", "parameters": [parameter]}


def card(index: int, *components: Any) -> dict[str, Any]:
    """Return a card."""
    return {"card_index": index, "components": list(components)}


def carousel(*cards: Any) -> dict[str, Any]:
    """Return the cards."""
    return {"type": "carousel", "cards": list(cards)}


def action(**members: Any) -> dict[str, Any]:
    """Return a parameter of type action."""
    return {"type": "action", "action": members}


SECTIONS = [
    {
        "title": "Tazas",
        "product_items": [{"product_retailer_id": "t-1"}, {"product_retailer_id": "t-2"}],
    },
    {"title": "Platos", "product_items": [{"product_retailer_id": "p-7"}]},
]
BILL = {
    "reference_id": "pedido-118",
    "type": "physical-goods",
    "payment_type": "br",
    "payment_settings": [
        {"type": "payment_link", "payment_link": {"uri": "https://pix.example/1"}}
    ],
    "currency": "BRL",
    "total_amount": {"value": 5000, "offset": 100},
    "order": {
        "status": "pending",
        "items": [
            {
                "retailer_id": "t-1",
                "name": "Taça azul",
                "amount": {"value": 2500, "offset": 100},
                "quantity": 2,
            }
        ],
        "subtotal": {"value": 5000, "offset": 100},
    },
}
TEMPLATES: dict[str, CheckedMessage] = {
    name: TemplateMessage.model_validate(message)
    for name, message in {
        "template": template("pedido_listo"),
        "template_reply": template(
            "pedido_listo",
            language={"code": "en", "policy": "deterministic"},
            context={"message_id": "wamid.IN0001"},
        ),
        "template_values": template(
            "cita_confirmada",
            header("text", "Lía"),
            body(
                "Lía",
                {
                    "type": "currency",
                    "currency": {
                        "fallback_value": "$100.99",
                        "code": "MXN",
                        "amount_1000": 100_990,
                    },
                },
                {
                    "type": "date_time",
                    "date_time": {"fallback_value": "4 de julio de 2026", "day_of_month": 4},
                },
            ),
        ),
        "template_named": template(
            "pedido_listo",
            {
                "type": "HEADER",
                "parameters": [{"type": "TEXT", "parameter_name": "shop", "text": "Taller Añil"}],
            },
            body(first_name="Lía", order_id="118"),
        ),
        "template_image": template(
            "rebaja",
            header("image", {"id": "770100000000901"}),
            {"type": "BODY", "parameters": []},
            button("QUICK_REPLY", 0, payload("STOP-42")),
            button("url", "1", suffix("otono?c=118")),
        ),
        "template_video": template("torno", header("video", {"link": "https://img.example/t.mp4"})),
        "template_document": template(
            "recibo", header("document", {"id": "770100000000904", "filename": "recibo.pdf"})
        ),
        "template_location": template(
            "llegamos",
            header(
                "location",
                {
                    "latitude": 19.0414,
                    "longitude": -98.2063,
                    "name": "Taller Añil",
                    "address": "Calle de los Alfareros 9",
                },
            ),
        ),
        "template_product": template(
            "taza_del_mes",
            header("product", {"product_retailer_id": "t-1", "catalog_id": "880200000000001"}),
        ),
        "template_code": template("codigo", *code("J$FpnYnP")),
        "template_offer": template(
            "ultimas_horas",
            header("image", {"id": "770100000000901"}),
            body("Lía"),
            offer(),
            button("COPY_CODE", "0", {"type": "coupon_code", "coupon_code": "OTONO25"}),
            button("url", 1, suffix("otono")),
        ),
        "template_flow": template(
            "encuesta",
            button("flow", 0, action(flow_token="t-118", flow_action_data={"name": "Lía"})),
        ),
        "template_catalog": template(
            "catalogo", button("CATALOG", 0, action(thumbnail_product_retailer_id="t-1"))
        ),
        "template_products": template(
            "carrito",
            button("mpm", 0, action(thumbnail_product_retailer_id="t-1", sections=SECTIONS)),
        ),
        "template_bill": template("cobro", button("order_details", 0, action(order_details=BILL))),
        "template_call": template(
            "llamanos",
            button("voice_call", 0, {"type": "ttl_minutes", "ttl_minutes": 100}, payload("c-7")),
        ),
        "template_carousel": template(
            "coleccion",
            body("Lía"),
            carousel(
                card(
                    0,
                    header("image", {"id": "770100000000901"}),
                    body("10%"),
                    button("quick_reply", 0, payload("more-0")),
                    button("url", 1, suffix("taza")),
                ),
                card(
                    1,
                    header("image", {"id": "770100000000902"}),
                    body("20%"),
                    button("quick_reply", 0, payload("more-1")),
                    button("url", 1, suffix("plato")),
                ),
            ),
        ),
    }.items()
}
