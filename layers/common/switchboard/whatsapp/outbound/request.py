"""From a caller's message object to Meta's request body, limits checked before a byte is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from switchboard.whatsapp.errors import InvalidMessage
from switchboard.whatsapp.outbound._base import CheckedMessage, DoubtfulMessage
from switchboard.whatsapp.outbound._limits import STRICTLY
from switchboard.whatsapp.outbound.unchecked import UncheckedMessage
from switchboard.whatsapp.storable import unfit

Message = CheckedMessage | DoubtfulMessage | UncheckedMessage

TYPES = (
    "audio",
    "contacts",
    "document",
    "image",
    "location",
    "reaction",
    "sticker",
    "template",
    "text",
    "video",
)
"""Meta's types that have a model: `MODEL` of the module of that name beside this one.

Imported at the first message of the type, since a cold start pays for every import.
"""

LONGEST_CALLBACK_DATA = 512
"""Characters of biz_opaque_callback_data (Cloud API, Messages)."""

_OURS = ("messaging_product", "recipient_type", "to", "recipient", "biz_opaque_callback_data")
_TYPE = re.compile(r"[a-z][a-z_]{0,63}")
_PHONE = re.compile(r"\+?([0-9]{7,15})")


def read(message: Any) -> Message:
    """Return the caller's message object checked against Meta's limits.

    `message` is Meta's object without what Switchboard sets (messaging_product, recipient_type, to,
    recipient, biz_opaque_callback_data). `warnings` of what comes back say what may go wrong: a
    type that Meta adds later passes as UncheckedMessage, what only some readings of a limit allow
    as DoubtfulMessage. Raises InvalidMessage (422), naming the field.
    """
    if not isinstance(message, dict):
        raise InvalidMessage("message is not an object", field="message")
    if (reason := unfit(message)) is not None:
        raise InvalidMessage(f"message {reason}, which cannot be stored", field="message")
    for key in _OURS:
        if key in message:
            raise InvalidMessage(f"message.{key} is set by Switchboard", field=f"message.{key}")
    word = _word(message)
    model = model_of(word)
    if model is None:
        return UncheckedMessage(word, message)
    try:
        return model.model_validate(message, context=STRICTLY)
    except ValidationError as error:
        doubts = error
    try:
        checked = model.model_validate(message)
    except ValidationError as error:
        raise _invalid(word, message, error) from None
    told = tuple(fault["detail"] for fault in _faults(word, message, doubts))
    return DoubtfulMessage(checked, told)


@lru_cache(maxsize=64)  # words of tomorrow are the caller's: not all of them are kept
def model_of(word: str) -> type[CheckedMessage] | None:
    """Return the model of a type (`text`) or of a kind of interactive message (`interactive.list`).

    None for what Meta added later.
    """
    kind, _, variant = word.partition(".")
    if variant:
        name = f"{__package__}.interactive.{variant}"
        known = find_spec(name) is not None
    else:
        name = f"{__package__}.{kind}"
        known = kind in TYPES
    model: type[CheckedMessage] | None = import_module(name).MODEL if known else None
    return model


def _word(message: dict[str, Any]) -> str:
    """Return what kind of message this is; raises InvalidMessage where it does not say."""
    kind = message.get("type")
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
        raise InvalidMessage("message.type is missing or no type of Meta's", field="message.type")
    if kind not in message:
        raise InvalidMessage(f"message.{kind} is missing", field=f"message.{kind}")
    content = message[kind]
    if not isinstance(content, dict | list):
        raise InvalidMessage(f"message.{kind} is no object", field=f"message.{kind}")
    if kind != "interactive":
        return kind
    variant = content.get("type") if isinstance(content, dict) else None
    if not isinstance(variant, str) or not _TYPE.fullmatch(variant):
        field = "message.interactive.type"
        raise InvalidMessage(f"{field} is missing or no kind of Meta's", field=field)
    return f"{kind}.{variant}"


def request_body(
    message: Message | Mapping[str, Any], to: str, callback_data: str | None = None
) -> dict[str, Any]:
    """Return the body of POST /{phone_number_id}/messages (Cloud API, Messages).

    `message` is a model or an object that was checked before. `to` is a phone number, sent with its
    plus sign (without it Meta may put our own country before it), or else a business-scoped user
    id. `callback_data` comes back with every status. Raises InvalidMessage where it is too long.
    """
    if callback_data is not None and len(callback_data) > LONGEST_CALLBACK_DATA:
        raise InvalidMessage(
            f"biz_opaque_callback_data has {len(callback_data)} characters, the limit is"
            f" {LONGEST_CALLBACK_DATA}",
            field="biz_opaque_callback_data",
        )
    phone = _PHONE.fullmatch(to)
    recipient = {"to": f"+{phone[1]}"} if phone else {"recipient": to}
    part = message if isinstance(message, Mapping) else message.body()
    body = {"messaging_product": "whatsapp", "recipient_type": "individual", **recipient, **part}
    if callback_data is not None:
        body["biz_opaque_callback_data"] = callback_data
    return body


def _invalid(word: str, message: Any, error: ValidationError) -> InvalidMessage:
    faults = _faults(word, message, error)
    first = faults[0]
    return InvalidMessage(first["detail"], field=first["field"], extra={"errors": faults})


def _faults(word: str, message: Any, error: ValidationError) -> list[dict[str, Any]]:
    # The input itself is what a person wrote: it belongs into no error and no log.
    return [_fault(word, message, fault) for fault in error.errors(include_url=False)]


def _fault(word: str, message: Any, fault: ErrorDetails) -> dict[str, Any]:
    field = _path(message, fault)
    told = fault.get("ctx", {})
    match fault["type"]:
        case "missing":
            return {"field": field, "detail": f"{field} is missing"}
        case "extra_forbidden":
            return {"field": field, "detail": f"{field} is unknown to messages of type {word}"}
        case "string_too_short":
            return {"field": field, "detail": f"{field} is empty"}
        case "string_too_long":
            limit, length = told["max_length"], len(fault["input"])
            detail = f"{field} has {length} characters, the limit is {limit}"
        case "text_too_long" | "too_many":
            limit, length = told["limit"], told["length"]
            detail = f"{field} {fault['msg']}"
        case "too_long":
            limit, length = told["max_length"], told["actual_length"]
            detail = f"{field} has {length} items, the limit is {limit}"
        case "too_short":
            least, length = told["min_length"], told["actual_length"]
            detail = f"{field} has {length} items, at least {least} must be there"
            return {"field": field, "detail": detail}
        case "less_than_equal" | "greater_than_equal":
            limit = told.get("le", told.get("ge"))
            side = "above" if "le" in told else "below"
            return {"field": field, "detail": f"{field} is {side} {limit}", "limit": limit}
        case "union_tag_invalid":
            # pydantic's own words repeat the input.
            detail = f"{field}.type is none of {told['expected_tags']}"
            return {"field": f"{field}.type", "detail": detail}
        case "rule" | "doubtful":
            return {"field": field, "detail": f"{field} {fault['msg']}"}
        case _:
            return {"field": field, "detail": f"{field}: {fault['msg']}"}
    return {"field": field, "detail": detail, "limit": limit, "length": length}


def _path(message: Any, fault: ErrorDetails) -> str:
    """Return where the fault is in the caller's words."""
    path = ["message"]
    node = message
    for number, part in enumerate(fault["loc"], start=1):
        known = isinstance(part, int) if isinstance(node, list) else _has(node, part)
        if known:
            node = node[part]
        elif fault["type"] != "missing" or number < len(fault["loc"]):
            # A union's tag: the caller never wrote it.
            continue
        path.append(str(part))
    return ".".join(path)


def _has(node: Any, key: Any) -> bool:
    return isinstance(node, dict) and key in node
