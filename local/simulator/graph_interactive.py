"""What Meta checks of interactive messages: one function per kind, called with action and path."""

from __future__ import annotations

import re
from collections.abc import Callable

from local.simulator.graph_shapes import (
    Json,
    address_of,
    distinct,
    file_of,
    invalid,
    list_of,
    missing,
    number_of,
    object_of,
    only_keys,
    text_of,
    unacceptable,
    word_of,
)

ACTION = "interactive['action']"
_ANY = ("text", "image", "video", "document")
_HEADERS: dict[str, tuple[str, ...]] = {
    "button": _ANY,
    "list": ("text",),
    "cta_url": _ANY,
    "voice_call": _ANY,
    "product_list": ("text",),
    "flow": _ANY,
    "address_message": _ANY,
    "order_details": _ANY,
    "order_status": _ANY,
}
_WITHOUT_FOOTER = {
    "location_request_message",
    "call_permission_request",
    "request_contact_info",
    "carousel",
}
_BODY_OPTIONAL = {"call_permission_request", "product"}
_FILE_KEYS = {
    "image": {"id", "link"},
    "video": {"id", "link"},
    "document": {"id", "link", "filename"},
}


def check_interactive(content: Json) -> None:
    """Check the object of an interactive message; raises GraphRefusal."""
    only_keys(content, {"type", "header", "body", "footer", "action"}, "param interactive")
    kind = word_of(content, "type", "interactive", tuple(KINDS))
    action = object_of(content, "action", "interactive")
    _header(kind, content)
    if kind not in _BODY_OPTIONAL or "body" in content:
        body = object_of(content, "body", "interactive")
        text_of(body, "text", 4096 if kind == "list" else 1024, path="interactive['body']")
    if "footer" in content:
        if kind in _WITHOUT_FOOTER:
            raise unacceptable(f"Param interactive['footer'] is not allowed for {kind}.")
        footer = object_of(content, "footer", "interactive")
        text_of(footer, "text", 60, path="interactive['footer']")
    KINDS[kind](action)


def _header(kind: str, content: Json) -> None:
    allowed = _HEADERS.get(kind)
    if "header" not in content:
        if kind == "product_list":
            raise missing("interactive['header']")
        return
    if allowed is None:
        raise unacceptable(f"Param interactive['header'] is not allowed for {kind}.")
    header = object_of(content, "header", "interactive")
    _header_of(header, allowed, "interactive['header']")


def _header_of(header: Json, allowed: tuple[str, ...], path: str) -> None:
    kind = header.get("type")
    if kind not in allowed:
        raise invalid(f"{path} must be one of {', '.join(allowed)}.")
    if kind == "text":
        text_of(header, "text", 60, path=path)
        return
    file_of(object_of(header, kind, path), _FILE_KEYS[kind], f"{path}['{kind}']")


def _buttons(action: Json) -> None:
    path = f"{ACTION}['buttons']"
    _replies(list_of(action, "buttons", ACTION, 3), "reply", path)


def _replies(buttons: list[Json], kind: str, path: str) -> None:
    replies = []
    for index, button in enumerate(buttons):
        if button.get("type") != kind:
            raise unacceptable(f"Param {path}[{index}]['type'] must be one of {{{kind.upper()}}}")
        reply = object_of(button, kind, f"{path}[{index}]")
        text_of(reply, "id", 256, path=f"{path}[{index}]['{kind}']")
        text_of(reply, "title", 20, path=f"{path}[{index}]['{kind}']")
        if reply["id"] != reply["id"].strip():
            raise invalid(f"{path}[{index}]['{kind}']['id'] has leading or trailing spaces.")
        replies.append(reply)
    for key in ("id", "title"):
        distinct([reply[key] for reply in replies], path, key)


def _rows(action: Json) -> None:
    path = f"{ACTION}['sections']"
    text_of(action, "button", 20, path=ACTION)
    ids: list[str] = []
    sections = list_of(action, "sections", ACTION, 10)
    for index, section in enumerate(sections):
        text_of(section, "title", 24, path=f"{path}[{index}]", required=len(sections) > 1)
        for row in list_of(section, "rows", f"{path}[{index}]", 10):
            text_of(row, "id", 200, path="row")
            text_of(row, "title", 24, path="row")
            text_of(row, "description", 72, path="row", required=False)
            ids.append(row["id"])
    if len(ids) > 10:
        raise invalid(f"{path}: a list holds at most 10 rows over all sections.")
    distinct(ids, path, "row id")


def _parameters(action: Json, name: str, *, required: bool = True) -> Json:
    word_of(action, "name", ACTION, (name,))
    if not required and "parameters" not in action:
        return {}
    return object_of(action, "parameters", ACTION)


def _named(name: str) -> Callable[[Json], None]:
    def check(action: Json) -> None:
        only_keys(action, {"name"}, f"param {ACTION}")
        word_of(action, "name", ACTION, (name,))

    return check


def _link(action: Json) -> None:
    _link_button(_parameters(action, "cta_url"))


def _link_button(parameters: Json) -> None:
    text_of(parameters, "display_text", 20, path="parameters")
    address_of(parameters, "url", "parameters")


def _call(action: Json) -> None:
    parameters = _parameters(action, "voice_call", required=False)
    text_of(parameters, "display_text", 20, path="parameters", required=False)
    text_of(parameters, "payload", 512, path="parameters", required=False)
    if "ttl_minutes" in parameters:
        number_of(parameters, "ttl_minutes", "parameters", 1, 43_200)


def _product(action: Json) -> None:
    text_of(action, "catalog_id", 512, path=ACTION)
    text_of(action, "product_retailer_id", 512, path=ACTION)


def _products(action: Json) -> None:
    text_of(action, "catalog_id", 512, path=ACTION)
    path = f"{ACTION}['sections']"
    total = 0
    sections = list_of(action, "sections", ACTION, 10)
    for index, section in enumerate(sections):
        text_of(section, "title", 24, path=f"{path}[{index}]", required=len(sections) > 1)
        items = list_of(section, "product_items", f"{path}[{index}]", 30)
        total += len(items)
        for item in items:
            text_of(item, "product_retailer_id", 512, path="product_item")
    if total > 30:
        raise invalid(f"{path}: at most 30 products over all sections.")


def _catalog(action: Json) -> None:
    parameters = _parameters(action, "catalog_message", required=False)
    text_of(parameters, "thumbnail_product_retailer_id", 512, path="parameters", required=False)


def _flow(action: Json) -> None:
    parameters = _parameters(action, "flow")
    word_of(parameters, "flow_message_version", "parameters", ("3",))
    if bool(parameters.get("flow_id")) == bool(parameters.get("flow_name")):
        raise invalid("parameters must have either flow_id or flow_name.")
    text_of(parameters, "flow_cta", 30, path="parameters")
    for key, words in {
        "mode": ("draft", "published"),
        "flow_action": ("navigate", "data_exchange"),
    }.items():
        if key in parameters:
            word_of(parameters, key, "parameters", words)
    if "flow_action_payload" in parameters:
        payload = object_of(parameters, "flow_action_payload", "parameters")
        if parameters.get("flow_action") == "data_exchange":
            raise invalid("flow_action_payload is allowed for navigate only.")
        if "data" in payload and not object_of(payload, "data", "flow_action_payload"):
            raise invalid("flow_action_payload['data'] must be a non-empty object.")


def _address(action: Json) -> None:
    text_of(_parameters(action, "address_message"), "country", 2, path="parameters")


def _cards(action: Json) -> None:
    path = f"{ACTION}['cards']"
    cards = list_of(action, "cards", ACTION, 10, least=2)
    distinct([number_of(card, "card_index", path, 0, 9) for card in cards], path, "card_index")
    kinds = {word_of(card, "type", path, ("cta_url", "product")) for card in cards}
    if len(kinds) > 1:
        raise invalid(f"{path} must be of one type.")
    headers = set()
    for index, card in enumerate(cards):
        name = f"{path}[{index}]"
        inside = object_of(card, "action", name)
        if card["type"] == "product":
            _product(inside)
            continue
        header = object_of(card, "header", name)
        _header_of(header, ("image", "video"), f"{name}['header']")
        headers.add(header["type"])
        if "body" in card:
            words = text_of(object_of(card, "body", name), "text", 160, path=f"{name}['body']")
            if str(words).count("\n") > 2:
                raise invalid(f"{name}['body']['text'] may have 2 line breaks.")
        if "buttons" in inside:
            _replies(list_of(inside, "buttons", name, 3), "quick_reply", f"{name}['buttons']")
        else:
            _link_button(_parameters(inside, "cta_url"))
    if len(headers) > 1:
        raise invalid(f"{path} must have headers of one type.")


def _bill(action: Json) -> None:
    parameters = _parameters(action, "review_and_pay")
    if not re.fullmatch(
        r"[A-Za-z0-9_.-]{1,35}", text_of(parameters, "reference_id", 512, path="parameters") or ""
    ):
        raise invalid("parameters['reference_id'] is not valid.")
    word_of(parameters, "type", "parameters", ("digital-goods", "physical-goods"))
    text_of(parameters, "currency", 3, path="parameters")
    _amount(parameters, "total_amount", "parameters")
    if "order" in parameters:
        order = object_of(parameters, "order", "parameters")
        word_of(order, "status", "order", ("pending",))
        _amount(order, "subtotal", "order")
        for item in list_of(order, "items", "order", 999):
            text_of(item, "name", 60, path="item")
            number_of(item, "quantity", "item", 1, 999_999)
            _amount(item, "amount", "item")


def _amount(parent: Json, key: str, path: str) -> None:
    amount = object_of(parent, key, path)
    number_of(amount, "value", f"{path}['{key}']", 0, 10**15)
    number_of(amount, "offset", f"{path}['{key}']", 1, 10**6)


def _order_status(action: Json) -> None:
    parameters = _parameters(action, "review_order")
    text_of(parameters, "reference_id", 512, path="parameters")


KINDS: dict[str, Callable[[Json], None]] = {
    "address_message": _address,
    "button": _buttons,
    "call_permission_request": _named("call_permission_request"),
    "carousel": _cards,
    "catalog_message": _catalog,
    "cta_url": _link,
    "flow": _flow,
    "list": _rows,
    "location_request_message": _named("send_location"),
    "order_details": _bill,
    "order_status": _order_status,
    "product": _product,
    "product_list": _products,
    "request_contact_info": _named("request_contact_info"),
    "voice_call": _call,
}
