"""From a caller's message object to Meta's request body, limits checked before a byte is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from switchboard.whatsapp.errors import InvalidMessage
from switchboard.whatsapp.outbound._base import CheckedMessage
from switchboard.whatsapp.outbound.image import ImageMessage
from switchboard.whatsapp.outbound.reaction import ReactionMessage
from switchboard.whatsapp.outbound.text import TextMessage
from switchboard.whatsapp.outbound.unchecked import UncheckedMessage
from switchboard.whatsapp.storable import unfit

Message = TextMessage | ImageMessage | ReactionMessage | UncheckedMessage

MODELS: dict[str, type[CheckedMessage]] = {
    model.model_fields["type"].default: model
    for model in get_args(Message)
    if issubclass(model, CheckedMessage)
}
"""Meta's type -> its model."""

LONGEST_CALLBACK_DATA = 512
"""Characters of biz_opaque_callback_data (Cloud API, Messages)."""

_OURS = ("messaging_product", "recipient_type", "to", "recipient", "biz_opaque_callback_data")
_TYPE = re.compile(r"[a-z][a-z_]{0,63}")
_PHONE = re.compile(r"\+?([0-9]{7,15})")


def read(message: Any) -> Message:
    """Return the caller's message object checked against Meta's limits.

    `message` is Meta's object without what Switchboard sets (messaging_product, recipient_type, to,
    recipient, biz_opaque_callback_data). A type that Meta adds later passes as UncheckedMessage,
    whose `warnings` say so. Raises InvalidMessage (422), naming the field.
    """
    if not isinstance(message, dict):
        raise InvalidMessage("message is not an object", field="message")
    if (reason := unfit(message)) is not None:
        raise InvalidMessage(f"message {reason}, which cannot be stored", field="message")
    for key in _OURS:
        if key in message:
            raise InvalidMessage(f"message.{key} is set by Switchboard", field=f"message.{key}")
    kind = message.get("type")
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
        raise InvalidMessage("message.type is missing or no type of Meta's", field="message.type")
    model = MODELS.get(kind)
    if model is not None:
        try:
            return model.model_validate(message)  # type: ignore[return-value]
        except ValidationError as error:
            raise _invalid(kind, error) from None
    if not isinstance(message.get(kind), dict | list):
        raise InvalidMessage(f"message.{kind} is missing", field=f"message.{kind}")
    return UncheckedMessage(kind, message)


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


def _invalid(kind: str, error: ValidationError) -> InvalidMessage:
    # The input itself is what a person wrote: it belongs into no error and no log.
    faults = [_fault(kind, fault) for fault in error.errors(include_url=False)]
    first = faults[0]
    return InvalidMessage(first["detail"], field=first["field"], extra={"errors": faults})


def _fault(kind: str, fault: ErrorDetails) -> dict[str, Any]:
    field = ".".join(["message", *map(str, fault["loc"])])
    match fault["type"]:
        case "missing":
            return {"field": field, "detail": f"{field} is missing"}
        case "extra_forbidden":
            return {"field": field, "detail": f"{field} is unknown to a {kind} message"}
        case "string_too_short":
            return {"field": field, "detail": f"{field} is empty"}
        case "string_too_long":
            limit, length = fault["ctx"]["max_length"], len(fault["input"])
            detail = f"{field} has {length} characters, the limit is {limit}"
            return {"field": field, "detail": detail, "limit": limit, "length": length}
        case "link" | "source":
            return {"field": field, "detail": f"{field} {fault['msg']}"}
        case _:
            return {"field": field, "detail": f"{field}: {fault['msg']}"}
