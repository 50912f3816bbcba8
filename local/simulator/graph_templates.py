"""What Meta checks of a template that is sent: its shape, and the definition it was approved with.

template_view.py shows the person what both make together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from local.simulator.graph_errors import GraphRefusal
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
)

COMPONENTS = (
    "body",
    "button",
    "carousel",
    "header",
    "limited_time_offer",
    "order_status",
    "tap_target_configuration",
)
SUB_TYPES = (
    "booking_confirmation",
    "catalog",
    "copy_code",
    "flow",
    "mpm",
    "order_details",
    "quick_reply",
    "reminder",
    "url",
    "voice_call",
)
FILES = {
    "image": {"id", "link"},
    "video": {"id", "link"},
    "gif": {"id", "link"},
    "document": {"id", "link", "filename"},
}
_HEADERS = (*FILES, "location", "product")
#: What each button of a definition is called in a message, and in Meta's refusals; None: it has
#: no component there.
BUTTONS: dict[str, tuple[str | None, str]] = {
    "quick_reply": ("quick_reply", "QuickReply"),
    "url": ("url", "Url"),
    "otp": ("url", "Url"),
    "copy_code": ("copy_code", "CopyCode"),
    "flow": ("flow", "Flow"),
    "catalog": ("catalog", "Catalog"),
    "mpm": ("mpm", "Mpm"),
    "order_details": ("order_details", "OrderDetails"),
    "voice_call": ("voice_call", "VoiceCall"),
    "phone_number": (None, "Call"),
    "spm": (None, "Spm"),
}
_NEEDED = ("otp", "copy_code", "mpm", "order_details")
#: May be named without a parameter: the catalogue's first product is its picture then.
_MAY_BE_BARE = ("catalog",)
_LONGEST_BODY = 1_024
_VARIABLE = re.compile(r"\{\{([^{}]+)\}\}")


def check_template(content: Json) -> None:
    """Check the object of a template message by itself; raises GraphRefusal."""
    only_keys(content, {"name", "language", "components", "namespace"}, "param template")
    name = text_of(content, "name", 512, path="template")
    if not re.fullmatch(r"[a-z0-9_]+", name or ""):
        raise invalid("template['name'] may hold small letters, digits and underscores only.")
    text_of(object_of(content, "language", "template"), "code", 20, path="template['language']")
    if content.get("components") is not None:
        _components(content, "template")


def _components(holder: Json, path: str) -> None:
    for number, one in enumerate(list_of(holder, "components", path, 100, least=0)):
        place = f"{path}['components'][{number}]"
        kind = _word(one, "type", place, COMPONENTS)
        if kind == "carousel":
            cards = list_of(one, "cards", place, 10, least=1)
            indexes = [number_of(card, "card_index", f"{place}['cards']", 0, 9) for card in cards]
            distinct(indexes, f"{place}['cards']", "card_index")
            for index, card in enumerate(cards):
                _components(card, f"{place}['cards'][{index}]")
            continue
        if kind == "button":
            _word(one, "sub_type", place, SUB_TYPES)
            if not re.fullmatch(r"[0-9]", str(one.get("index", ""))):
                raise unacceptable(f"Param {place}['index'] must be an integer from 0 to 9.")
        if one.get("parameters") is not None:
            for index, parameter in enumerate(list_of(one, "parameters", place, 100, least=0)):
                _parameter(parameter, f"{place}['parameters'][{index}]")


def _word(one: Json, key: str, place: str, words: tuple[str, ...]) -> str:
    value = one.get(key)
    if value is None:
        raise missing(f"{place}['{key}']")
    if str(value).lower() not in words:
        choices = ", ".join(words).upper()
        raise unacceptable(
            f"Param {place}['{key}'] must be one of {{{choices}}} - got \"{value}\"."
        )
    return str(value).lower()


def _parameter(one: Json, place: str) -> None:
    kind = str(one.get("type", "")).lower()
    match kind:
        case "text":
            if not isinstance(one.get("text"), str) or not one["text"]:
                raise GraphRefusal(131008, details="Parameter of type text is missing text value")
            _in_one_line(one["text"])
        case "currency" | "date_time":
            _in_one_line(str(text_of(object_of(one, kind, place), "fallback_value", 1024)))
        case _ if kind in FILES:
            file_of(object_of(one, kind, place), FILES[kind], f"{place}['{kind}']")
        case "payload":
            text_of(one, "payload", 1000, path=place)
        case "coupon_code":
            text_of(one, "coupon_code", 20, path=place)
        case "limited_time_offer":
            offer = object_of(one, kind, place)
            number_of(offer, "expiration_time_ms", f"{place}['{kind}']", 0, 10**15)
        case "location" | "product" | "action" | "order_status":
            object_of(one, kind, place)
        case "tap_target_configuration":
            (target,) = list_of(one, kind, place, 1)
            text_of(target, "title", 1024, path=f"{place}['{kind}']")
            address_of(target, "url", f"{place}['{kind}']")
        case "ttl_minutes":
            number_of(one, kind, place, 1, 43_200)
        case _:
            raise unacceptable(f"Param {place}['type'] is not a type of a template's parameter.")


def _in_one_line(text: str) -> None:
    if re.search(r"[\n\r\t]| {5}", text):
        raise GraphRefusal(
            132018,
            details="Param text cannot have new-line/tab characters or more than 4 consecutive"
            " spaces",
        )


def check_against(stored: Json, content: Json) -> None:
    """Hold a template message against Meta's object of the template; raises GraphRefusal."""
    status = str(stored.get("status"))
    if status == "PAUSED":
        raise GraphRefusal(132015)
    if status == "DISABLED":
        raise GraphRefusal(132016)
    if status != "APPROVED":
        raise unknown_template(content)
    named = str(stored.get("parameter_format", "")).upper() == "NAMED"
    _part("", stored.get("components") or [], content.get("components") or [], named=named)


def unknown_template(content: Json) -> GraphRefusal:
    """132001: no approved template has this name in this language."""
    name, code = content.get("name"), (content.get("language") or {}).get("code")
    return GraphRefusal(132001, details=f"template name ({name}) does not exist in {code}")


def _part(card: str, stored: list[Json], sent: list[Json], *, named: bool) -> None:
    """Hold a message, or one card of it, against the definition."""
    header = component(stored, "header")
    given = parameters_of(sent, "header")
    wanted = str((header or {}).get("format", "TEXT")).lower()
    if header is not None and wanted != "text":
        kind = str(given[0].get("type", "")).lower() if given else ""
        if kind != wanted:
            got = kind.upper() if kind in _HEADERS or kind == "text" else "UNKNOWN"
            raise GraphRefusal(
                132012,
                details=f"{card}header: Format mismatch, expected {wanted.upper()}, received {got}",
            )
    else:
        if given and str(given[0].get("type", "")).lower() != "text":
            got = str(given[0].get("type", "")).upper()
            raise GraphRefusal(
                132012, details=f"{card}header: Format mismatch, expected TEXT, received {got}"
            )
        _values(f"{card}header", str((header or {}).get("text", "")), given, named=named)
    body = component(stored, "body")
    text = str((body or {}).get("text", "{{1}}" if body else ""))
    values = parameters_of(sent, "body")
    _values(f"{card}body", text, values, named=named)
    if len(filled(text, values)) > _LONGEST_BODY:
        raise GraphRefusal(132005, details=f"{card}body: the translated text is too long")
    _buttons(card, buttons_of(stored), [one for one in sent if _is(one, "button")])
    _offer(component(stored, "limited_time_offer"), component(sent, "limited_time_offer"))
    _cards(component(stored, "carousel"), component(sent, "carousel"), named=named)


def _values(where: str, text: str, given: list[Json], *, named: bool) -> None:
    wanted = variables(text)
    if named and any(not one.get("parameter_name") for one in given):
        raise GraphRefusal(100, details="Parameter name is missing or empty")
    if not named and any(one.get("parameter_name") for one in given):
        raise GraphRefusal(132018, details=f"{where}: the template's parameters have no names")
    if len(given) != len(wanted):
        raise GraphRefusal(
            132000,
            details=f"{where}: number of localizable_params ({len(given)}) does not match the"
            f" expected number of params ({len(wanted)})",
        )
    if named and {one["parameter_name"] for one in given} != set(wanted):
        raise GraphRefusal(132018, details=f"{where}: parameter names do not match the template's")


def _buttons(card: str, stored: list[Json], sent: list[Json]) -> None:
    given = {int(str(one["index"])): one for one in sent}
    if any(index >= len(stored) for index in given):
        raise GraphRefusal(132018, details=f"{card}buttons: there is no button at that index")
    for index, button in enumerate(stored):
        kind = str(button.get("type", "")).lower()
        if kind not in BUTTONS:
            continue
        sub_type, name = BUTTONS[kind]
        where = f"{card}buttons: Button at index {index}"
        is_fixed = kind == "url" and not variables(str(button.get("url", "")))
        component_of = given.get(index)
        if component_of is None:
            if kind in _NEEDED or (kind == "url" and not is_fixed):
                raise GraphRefusal(131008, details=f"{where} of type {name} requires a parameter")
        elif sub_type is None:
            raise GraphRefusal(
                100, details=f"{where} is of type {name} and does not support parameters"
            )
        elif str(component_of["sub_type"]).lower() != sub_type:
            raise GraphRefusal(132018, details=f"{where} is of type {name}")
        elif is_fixed:
            told = f"{where} of type {name} does not require parameters"
            raise GraphRefusal(132018, details=told)
        elif not component_of.get("parameters") and kind not in _MAY_BE_BARE:
            raise GraphRefusal(131008, details=f"{where} of type {name} requires a parameter")


def _offer(stored: Json | None, sent: Json | None) -> None:
    has_end = bool(((stored or {}).get("limited_time_offer") or {}).get("has_expiration"))
    if sent is not None and stored is None:
        raise GraphRefusal(132018, details="limited_time_offer: the template has none")
    if has_end and not (sent or {}).get("parameters"):
        raise GraphRefusal(131008, details="limited_time_offer: expiration_time_ms is required")


def _cards(stored: Json | None, sent: Json | None, *, named: bool) -> None:
    wanted = list((stored or {}).get("cards") or [])
    given = {int(one["card_index"]): one for one in (sent or {}).get("cards") or []}
    if set(given) != set(range(len(wanted))):
        raise GraphRefusal(
            132018,
            details=f"carousel: number of cards ({len(given)}) does not match the expected number"
            f" of cards ({len(wanted)})",
        )
    for index, card in enumerate(wanted):
        sent_card = given[index].get("components") or []
        _part(f"card {index} ", card.get("components") or [], sent_card, named=named)


def _is(one: Json, kind: str) -> bool:
    return str(one.get("type", "")).lower() == kind


def component(components: list[Json], kind: str) -> Json | None:
    """The component of that type, of a definition or a message."""
    return next((one for one in components if _is(one, kind)), None)


def parameters_of(components: list[Json], kind: str) -> list[Json]:
    """The parameters that a message gives a component of that type."""
    return list((component(components, kind) or {}).get("parameters") or [])


def buttons_of(stored: list[Json]) -> list[Json]:
    """A definition's buttons."""
    return list((component(stored, "buttons") or {}).get("buttons") or [])


def variables(text: str) -> list[str]:
    """A text's variables, each once, in the order of positional parameters."""
    names = list(dict.fromkeys(name.strip() for name in _VARIABLE.findall(text)))
    return sorted(names, key=int) if all(name.isdecimal() for name in names) else names


def filled(text: str, given: list[Json]) -> str:
    """A text with its parameters' values in place of its variables."""
    order = variables(text)
    values = {}
    for number, one in enumerate(given):
        name = one.get("parameter_name") or (order[number] if number < len(order) else "")
        fallback = (one.get(str(one.get("type", "")).lower()) or {}) if "text" not in one else {}
        values[name] = str(one.get("text") or fallback.get("fallback_value", ""))
    return _VARIABLE.sub(lambda found: values.get(found[1].strip(), found[0]), text)


def files_of(content: Json) -> Iterator[tuple[str, Json]]:
    """The files of a template message's headers, each with its place."""
    for number, one in enumerate(content.get("components") or []):
        place = f"template['components'][{number}]"
        for index, card in enumerate(one.get("cards") or []):
            for inner, part in files_of(card):
                yield f"{place}['cards'][{index}]{inner.removeprefix('template')}", part
        for index, parameter in enumerate(one.get("parameters") or []):
            kind = str(parameter.get("type", "")).lower()
            if kind in FILES:
                yield f"{place}['parameters'][{index}]['{kind}']", parameter[kind]
