"""Whether a message fits a template, as far as the stored definition tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from switchboard.whatsapp.errors import InvalidMessage
from switchboard.whatsapp.templates._read import text_in
from switchboard.whatsapp.templates._sent import Sent, SentButton, Values, sent_in, values_of
from switchboard.whatsapp.templates.definition import Button, Definition, Header, Parts, Text

_FORMATS = ("image", "video", "document", "gif", "location", "product")
_CODE, _URL, _HEADER, _BODY = 15, 2_000, 60, 1_024


class _Kind(NamedTuple):
    """A button of a definition: the sub_type of a message's component for it, and its need."""

    sub_type: str | None
    need: str = "optional"


_KINDS = {
    "quick_reply": _Kind("quick_reply"),
    "url": _Kind("url", "by its address"),
    "otp": _Kind("url", "required"),
    "copy_code": _Kind("copy_code", "required"),
    "flow": _Kind("flow", "advised"),
    "catalog": _Kind("catalog"),
    "mpm": _Kind("mpm", "required"),
    "order_details": _Kind("order_details", "required"),
    "voice_call": _Kind("voice_call"),
    "spm": _Kind(None),
    "phone_number": _Kind(None),
}


class _Findings:
    """Faults by field, and what nobody can know here."""

    def __init__(self) -> None:
        self.faults: list[dict[str, Any]] = []
        self.warnings: list[str] = []

    def fault(self, field: str, detail: str) -> None:
        self.faults.append({"field": field, "detail": f"{field} {detail}"})


def check(definition: Definition, message: Mapping[str, Any]) -> tuple[str, ...]:
    """Return warnings of what the definition does not tell.

    `message` is Meta's message object (`{"type": "template", "template": {…}}`) that the models of
    `whatsapp.outbound` let pass. Raises InvalidMessage (422) with every fault, the first one's
    field named, where Meta would refuse it: 132000, 132012, 132018, 131008. No fault repeats what
    the message says.
    """
    if not definition.is_readable:
        return ("the template's stored definition is empty: nothing of the message was checked",)
    found = _Findings()
    parts = definition.parts
    sent = sent_in(message)
    named = definition.is_named
    _check_names(sent, found, named=named)
    _check_parts(parts, sent, found, named=named)
    _check_offer(parts, sent, found)
    _check_cards(parts, sent, found, named=named)
    if definition.is_authentication or any(one.type == "otp" for one in parts.buttons):
        _check_code(sent, found)
    if found.faults:
        first = found.faults[0]
        raise InvalidMessage(first["detail"], field=first["field"], extra={"errors": found.faults})
    return tuple(found.warnings)


def _check_names(sent: Sent, found: _Findings, *, named: bool) -> None:
    """Parameters have names exactly where the template's variables do."""
    every = [sent, *(sent.cards or {}).values()]
    for part in (values for one in every for values in (one.header, one.body) if values):
        for number, parameter in enumerate(part.parameters):
            is_named = text_in(parameter.get("parameter_name")) is not None
            place = f"{part.path}.parameters.{number}.parameter_name"
            if is_named and not named:
                found.fault(place, "is set, and the template's variables have no names")
            # A file has no name; the kind of the header is looked at elsewhere.
            if not is_named and named and part.kind not in _FORMATS:
                found.fault(place, "is missing, and the template's variables have names")


def _check_parts(parts: Parts, sent: Sent, found: _Findings, *, named: bool) -> None:
    """Hold a message, or one card of it, against the template, or its card."""
    _check_header(parts.header, sent, found, named=named)
    _check_text("body", parts.body, sent.body, sent.path, found, named=named)
    for button in sent.buttons:
        _check_given(parts.buttons, button, found)
    for index, wanted in enumerate(parts.buttons):
        _check_wanted(wanted, index, sent, found)
    found.warnings += [f"{place} is of a type that cannot be checked" for place in sent.unknown]
    found.warnings += [
        f"the template has a component of type {kind}, which cannot be checked"
        for kind in parts.unknown
    ]


def _check_header(header: Header | None, sent: Sent, found: _Findings, *, named: bool) -> None:
    given = sent.header
    if header is None:
        if given is not None and given.parameters:
            found.fault(given.path, "is superfluous: the template has no header")
    elif header.format == "text":
        if given is not None and given.kind in _FORMATS:
            kind = f"{given.path}.parameters.0.type"
            found.fault(kind, "is no text, and the template's header is one")
            return
        _check_text("header", header.text, given, sent.path, found, named=named)
    elif header.format not in _FORMATS:
        told = f"the template's header is of the format {header.format}, which cannot be checked"
        found.warnings.append(told)
    elif given is None or not given.parameters:
        found.fault(sent.path, f"need a header with the template's {header.format}")
    elif given.kind != header.format:
        kind = f"{given.path}.parameters.0.type"
        found.fault(kind, f"is not {header.format}, as the template's header is")


def _check_text(
    what: str,
    text: Text | None,
    given: Values | None,
    path: str,
    found: _Findings,
    *,
    named: bool,
) -> None:
    """As many parameters as variables; where they have names, the same ones."""
    wanted = text.variables if text else ()
    count = len(given.parameters) if given else 0
    place = f"{given.path}.parameters" if given else path
    if named and given is not None:
        names = [text_in(one.get("parameter_name")) for one in given.parameters]
        for number, name in enumerate(names):
            if name is not None and name not in wanted:
                known = ", ".join(wanted) or "none"
                place_of = f"{place}.{number}.parameter_name"
                found.fault(place_of, f"is no variable of the template's {what}: {known}")
        missing = [name for name in wanted if name not in names]
        if missing:
            found.fault(place, f"lack the {what}'s {', '.join(missing)}")
        elif count > len(wanted):
            found.fault(place, f"are {count}, and the template's {what} has {len(wanted)}")
    elif count != len(wanted):
        if given is None:
            variables = "1 variable" if len(wanted) == 1 else f"{len(wanted)} variables"
            found.fault(path, f"need a {what} with values for the template's {variables}")
        else:
            found.fault(place, f"are {count}, and the template's {what} has {len(wanted)}")
    elif text is not None and wanted:
        most = _BODY if what == "body" else _HEADER
        length = len(text.filled(values_of(wanted, given)))
        if length > most:
            told = f"{place}: the {what} has {length} characters once filled in, over {most}"
            found.warnings.append(told)


def _check_given(buttons: tuple[Button, ...], given: SentButton, found: _Findings) -> None:
    """Hold what a button is given against the template's button in that place."""
    if given.index is None or given.index >= len(buttons):
        count = len(buttons)
        found.fault(f"{given.path}.index", f"is none of the template's buttons: it has {count}")
        return
    button = buttons[given.index]
    kind = _KINDS.get(button.type)
    if kind is None:
        found.warnings.append(f"{given.path} is a button that cannot be checked")
    elif kind.sub_type is None:
        found.fault(given.path, f"is superfluous: a button of type {button.type} needs nothing")
    elif given.sub_type != kind.sub_type:
        found.fault(
            f"{given.path}.sub_type", f"is not {kind.sub_type}, as the template's button is"
        )
    elif button.type == "url" and not _has_variable(button):
        found.fault(given.path, "is superfluous: the address of the template's button is fixed")
    elif kind.sub_type == "url" and button.url is not None:
        values = values_of(button.url.variables, given)
        if len(button.url.filled(values)) > _URL:
            place = f"{given.path}.parameters.0.text"
            found.fault(place, f"makes the button's address longer than {_URL} characters")


def _check_wanted(button: Button, index: int, sent: Sent, found: _Findings) -> None:
    """Whether a button gets what it cannot do without."""
    given = sent.button(index)
    kind = _KINDS.get(button.type)
    if kind is None:
        if given is None:
            told = f"the template's button {index} is of a kind that cannot be checked"
            found.warnings.append(told)
        return
    is_required = kind.need == "required" or (button.type == "url" and _has_variable(button))
    if is_required and given is None:
        told = f"need a button of sub_type {kind.sub_type} for the template's button {index}"
        found.fault(sent.path, told)
    elif is_required and given is not None and not given.parameters:
        found.fault(f"{given.path}.parameters", "are missing")
    elif kind.need == "advised" and given is None:
        told = f"the template's button {index} opens a flow without a flow_token of its own"
        found.warnings.append(told)


def _has_variable(button: Button) -> bool:
    return button.url is not None and bool(button.url.variables)


def _check_offer(parts: Parts, sent: Sent, found: _Findings) -> None:
    if parts.offer is None:
        if sent.offer is not None:
            found.fault(sent.offer.path, "is superfluous: the template has no limited-time offer")
    elif parts.offer.expires and (sent.offer is None or not sent.offer.parameters):
        found.fault(sent.path, "need a limited_time_offer with the time when it ends")
    elif not parts.offer.expires and sent.offer is not None:
        found.warnings.append(f"{sent.offer.path}: the template's offer shows no end")


def _check_cards(parts: Parts, sent: Sent, found: _Findings, *, named: bool) -> None:
    place = sent.carousel or sent.path
    if parts.cards is None:
        if sent.cards is not None:
            found.fault(place, "are superfluous: the template has no carousel")
        return
    cards = sent.cards or {}
    if sent.cards is None:
        found.fault(place, f"need a carousel with the template's {len(parts.cards)} cards")
    elif len(cards) != len(parts.cards) or set(cards) != set(range(len(parts.cards))):
        wanted = f"the template's {len(parts.cards)}, counted from 0"
        found.fault(place, f"are {len(cards)} cards that are not {wanted}")
    for index, card in cards.items():
        if 0 <= index < len(parts.cards):
            _check_parts(parts.cards[index], card, found, named=named)


def _check_code(sent: Sent, found: _Findings) -> None:
    """A one-time password: up to 15 characters, the same in the body and behind the button."""
    told = values_of(("1",), sent.body).get("1")
    if sent.body is not None and told is not None and len(told) > _CODE:
        place = f"{sent.body.path}.parameters.0.text"
        found.fault(place, f"has {len(told)} characters, and a code has at most {_CODE}")
    for button in sent.buttons:
        copied = values_of(("1",), button).get("1")
        if button.sub_type == "url" and told is not None and copied not in (None, told):
            place = f"{button.path}.parameters.0.text"
            found.fault(place, "is another code than the body's")
