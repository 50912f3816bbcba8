"""What a person sees of a template message: the definition filled in, as the phone page shows it.

    {"name", "category", "header": {"type": "text", "text"} | {"type": "image", "image": {…}},
     "body", "footer", "offer": {"text", "ends"},
     "buttons": [{"type", "text", "url", "phone_number", "code", "payload"}],
     "cards": [{"header", "body", "buttons"}]}

What is not there is absent. `ends` is Unix milliseconds, `payload` what a tap sends back.
"""

from __future__ import annotations

from typing import Any

from local.simulator.graph_templates import (
    buttons_of,
    component,
    filled,
    parameters_of,
)

Json = dict[str, Any]

_LABELS = {
    "copy_code": "Copy code",
    "otp": "Copy code",
    "spm": "View",
    "catalog": "View catalog",
    "mpm": "View items",
    "order_details": "Review and pay",
}


def view_of(stored: Json, content: Json) -> Json:
    """What the message looks like; both passed Meta's checks."""
    told, sent = stored.get("components") or [], content.get("components") or []
    footer = (component(told, "footer") or {}).get("text")
    offer = (component(told, "limited_time_offer") or {}).get("limited_time_offer")
    (end, *_) = parameters_of(sent, "limited_time_offer") or [{}]
    shown = _part(told, sent) | {
        "name": stored.get("name"),
        "category": str(stored.get("category", "")).lower(),
        "footer": footer,
        "cards": _cards(component(told, "carousel"), component(sent, "carousel")),
    }
    if offer is not None:
        ends = (end.get("limited_time_offer") or {}).get("expiration_time_ms")
        shown["offer"] = {"text": offer.get("text"), "ends": ends}
    return {key: value for key, value in shown.items() if value not in (None, [])}


def taps(shown: Json | None) -> list[Json]:
    """The quick replies of a shown template, cards included, as {"id", "title"}."""
    parts = [shown or {}, *(shown or {}).get("cards", [])]
    buttons = [button for part in parts for button in part.get("buttons", [])]
    return [
        {"id": button["payload"], "title": button["text"]}
        for button in buttons
        if button["type"] == "quick_reply"
    ]


def _part(told: list[Json], sent: list[Json]) -> Json:
    body = component(told, "body")
    shown: Json = {
        "header": _header(component(told, "header"), parameters_of(sent, "header")),
        "buttons": [
            _button(one, _given(sent, index)) for index, one in enumerate(buttons_of(told))
        ],
    }
    if body is not None:
        text = str(body.get("text", "{{1}} is your verification code."))
        shown["body"] = filled(text, parameters_of(sent, "body"))
    return {key: value for key, value in shown.items() if value is not None}


def _header(told: Json | None, given: list[Json]) -> Json | None:
    if told is None:
        return None
    kind = str(told.get("format", "TEXT")).lower()
    if kind == "text":
        return {"type": "text", "text": filled(str(told.get("text", "")), given)}
    return {"type": kind, kind: given[0].get(kind)}


def _given(sent: list[Json], index: int) -> Json:
    for one in sent:
        if str(one.get("type", "")).lower() == "button" and str(one.get("index")) == str(index):
            (parameter, *_) = one.get("parameters") or [{}]
            return dict(parameter)
    return {}


def _button(told: Json, given: Json) -> Json:
    kind = str(told.get("type", "")).lower()
    label = str(told.get("text") or _LABELS.get(kind, kind.replace("_", " ")))
    shown: Json = {"type": kind, "text": label}
    if told.get("url"):
        shown["url"] = filled(str(told["url"]), [given] if given else [])
    if told.get("phone_number"):
        shown["phone_number"] = told["phone_number"]
    if kind == "copy_code":
        shown["code"] = given.get("coupon_code")
    if kind == "quick_reply":
        shown["payload"] = given.get("payload") or label
    return shown


def _cards(told: Json | None, sent: Json | None) -> list[Json]:
    given = {
        one["card_index"]: one.get("components") or [] for one in (sent or {}).get("cards") or []
    }
    cards = (told or {}).get("cards") or []
    return [
        _part(card.get("components") or [], given.get(index, []))
        for index, card in enumerate(cards)
    ]
