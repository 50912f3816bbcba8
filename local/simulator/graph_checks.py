"""What Meta checks before it accepts a message: shapes, limits, required parameters.

Codes: 100 for what is unknown, of the wrong kind or too long; 131008 for what is missing inside a
message; 131009 for values that cannot be.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local.simulator.graph_errors import GraphRefusal
from local.simulator.people import digits_of

Json = dict[str, Any]

TYPES = (
    "audio",
    "contacts",
    "document",
    "image",
    "interactive",
    "location",
    "reaction",
    "sticker",
    "template",
    "text",
    "video",
)
_COMMON = {
    "messaging_product",
    "recipient_type",
    "to",
    "recipient",
    "type",
    "context",
    "biz_opaque_callback_data",
    "recipient_identity_key_hash",
}
_MEDIA_KEYS = {
    "image": {"id", "link", "caption"},
    "video": {"id", "link", "caption"},
    "audio": {"id", "link", "voice"},
    "document": {"id", "link", "caption", "filename"},
    "sticker": {"id", "link"},
}


@dataclass(frozen=True, slots=True)
class Send:
    """A request to send that passed every check. `to` is digits or a business-scoped user id."""

    to: str
    written_to: str
    type: str
    content: Any
    context_id: str | None
    callback_data: str | None


def missing(name: str) -> GraphRefusal:
    """131008 for that parameter."""
    return GraphRefusal(131008, details=f"The parameter {name} is required.")


def invalid(details: str) -> GraphRefusal:
    """131009 with those details."""
    return GraphRefusal(131009, details=details)


def unacceptable(message: str) -> GraphRefusal:
    """100 in those words."""
    return GraphRefusal(100, message=f"(#100) {message}", details=message)


def check_send(body: Json) -> Send:
    """Read the body of `POST /{phone_number_id}/messages`; raises GraphRefusal."""
    if body.get("messaging_product") != "whatsapp":
        if "messaging_product" not in body:
            raise unacceptable("The parameter messaging_product is required.")
        raise unacceptable("Param messaging_product must be one of {WHATSAPP}")
    if body.get("recipient_type", "individual") != "individual":
        raise unacceptable("Param recipient_type must be one of {INDIVIDUAL}")
    written_to, to = _recipient(body)
    kind = body.get("type", "text")
    if kind not in TYPES:
        choices = ", ".join(TYPES).upper()
        raise unacceptable(f'Param type must be one of {{{choices}}} - got "{kind}".')
    _only_keys(body, _COMMON | {kind}, "the request")
    content = body.get(kind)
    if content is None:
        raise missing(kind)
    if kind == "contacts":
        _contacts(content)
    elif not isinstance(content, dict):
        raise unacceptable(f"Param {kind} must be a JSON object.")
    elif kind in _MEDIA_KEYS:
        _media(kind, content)
    else:
        _CHECKS[kind](content)
    return Send(
        to=to,
        written_to=written_to,
        type=kind,
        content=content,
        context_id=_context(body, kind),
        callback_data=_text(body, "biz_opaque_callback_data", 512, required=False),
    )


def _recipient(body: Json) -> tuple[str, str]:
    # `to` wins where both are given.
    to = body.get("to")
    if to is not None:
        digits = digits_of(to) if isinstance(to, str) else None
        if digits is None:
            raise invalid("The parameter to is not a valid phone number.")
        return str(to), digits
    recipient = body.get("recipient")
    if recipient is None:
        raise unacceptable("The parameter to is required.")
    if not isinstance(recipient, str) or not re.fullmatch(
        r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}", recipient
    ):
        raise invalid("The parameter recipient is not a valid business-scoped user id.")
    return recipient, recipient


def _context(body: Json, kind: str) -> str | None:
    context = body.get("context")
    if context is None:
        return None
    if not isinstance(context, dict):
        raise unacceptable("Param context must be a JSON object.")
    if kind == "reaction":
        raise unacceptable("Param context is not allowed for reaction messages.")
    return _text(context, "message_id", 512, path="context")


def _only_keys(value: Json, allowed: set[str], path: str) -> None:
    for key in value:
        if key not in allowed:
            raise GraphRefusal(100, details=f'Unexpected key "{key}" on {path}.')


def _text(
    parent: Json, key: str, limit: int, *, path: str = "", required: bool = True
) -> str | None:
    name = f"{path}['{key}']" if path else key
    value = parent.get(key)
    if value is None or value == "":
        if required:
            raise missing(name)
        return None
    if not isinstance(value, str):
        raise unacceptable(f"Param {name} must be a string.")
    if len(value) > limit:
        raise unacceptable(f"Param {name} must be at most {limit} characters long.")
    return value


def _object(parent: Json, key: str, path: str) -> Json:
    value = parent.get(key)
    if value is None:
        raise missing(f"{path}['{key}']")
    if not isinstance(value, dict):
        raise unacceptable(f"Param {path}['{key}'] must be a JSON object.")
    return value


def _list(parent: Json, key: str, path: str, most: int) -> list[Json]:
    value = parent.get(key)
    if value is None:
        raise missing(f"{path}['{key}']")
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise unacceptable(f"Param {path}['{key}'] must be an array of objects.")
    if not 1 <= len(value) <= most:
        raise invalid(f"{path}['{key}'] must hold 1 to {most} items.")
    return value


def _check_text(content: Json) -> None:
    _only_keys(content, {"body", "preview_url"}, "param text")
    _text(content, "body", 4096, path="text")


def _media(kind: str, content: Json) -> None:
    _only_keys(content, _MEDIA_KEYS[kind], f"param {kind}")
    given = [key for key in ("id", "link") if content.get(key)]
    if not given:
        raise missing(f"{kind}['id'] or {kind}['link']")
    if len(given) == 2:
        raise unacceptable(f"Param {kind} must have either id or link, not both.")
    link = _text(content, "link", 4096, path=kind, required=False)
    if link is not None and not re.match(r"https?://[^/\s]", link):
        raise invalid(f"{kind}['link'] is not a valid http or https address.")
    _text(content, "caption", 1024, path=kind, required=False)


def _check_location(content: Json) -> None:
    _only_keys(content, {"latitude", "longitude", "name", "address"}, "param location")
    for key, most in (("latitude", 90), ("longitude", 180)):
        if content.get(key) in (None, ""):
            raise missing(f"location['{key}']")
        try:
            # Written as string or number, both are taken.
            degrees = float(content[key])
        except (TypeError, ValueError):
            raise invalid(f"location['{key}'] is not a number.") from None
        if not -most <= degrees <= most:
            raise invalid(f"location['{key}'] is out of range.")


def _contacts(content: Any) -> None:
    if not isinstance(content, list) or not content:
        raise unacceptable("Param contacts must be an array of objects.")
    for index, contact in enumerate(content):
        if not isinstance(contact, dict):
            raise unacceptable(f"Param contacts[{index}] must be a JSON object.")
        name = _object(contact, "name", f"contacts[{index}]")
        _text(name, "formatted_name", 1024, path=f"contacts[{index}]['name']")


def _check_reaction(content: Json) -> None:
    _only_keys(content, {"message_id", "emoji"}, "param reaction")
    _text(content, "message_id", 512, path="reaction")
    emoji = content.get("emoji")
    if emoji is None:
        raise missing("reaction['emoji']")
    if not isinstance(emoji, str) or len(emoji) > 20 or re.search(r"[A-Za-z ]", emoji):
        raise invalid("reaction['emoji'] is not an emoji.")


def _check_template(content: Json) -> None:
    name = _text(content, "name", 512, path="template")
    if not re.fullmatch(r"[a-z0-9_]+", name or ""):
        raise invalid("template['name'] may hold small letters, digits and underscores only.")
    _text(_object(content, "language", "template"), "code", 20, path="template['language']")


def _check_interactive(content: Json) -> None:
    kind = _text(content, "type", 64, path="interactive")
    action = _object(content, "action", "interactive")
    if kind not in ("call_permission_request", "product", "catalog_message"):
        body = _object(content, "body", "interactive")
        _text(body, "text", 4096 if kind == "list" else 1024, path="interactive['body']")
    if "footer" in content:
        footer = _object(content, "footer", "interactive")
        _text(footer, "text", 60, path="interactive['footer']")
    header = content.get("header")
    if isinstance(header, dict) and header.get("type") == "text":
        _text(header, "text", 60, path="interactive['header']")
    if kind == "button":
        _reply_buttons(action)
    elif kind == "list":
        _list_rows(action, header)
    elif kind == "cta_url":
        parameters = _object(action, "parameters", "interactive['action']")
        _text(parameters, "display_text", 20, path="parameters")
        _text(parameters, "url", 2000, path="parameters")


def _reply_buttons(action: Json) -> None:
    path = "interactive['action']['buttons']"
    buttons = _list(action, "buttons", "interactive['action']", 3)
    replies = []
    for index, button in enumerate(buttons):
        if button.get("type") != "reply":
            raise unacceptable(f"Param {path}[{index}]['type'] must be one of {{REPLY}}")
        reply = _object(button, "reply", f"{path}[{index}]")
        _text(reply, "id", 256, path=f"{path}[{index}]['reply']")
        _text(reply, "title", 20, path=f"{path}[{index}]['reply']")
        if reply["id"] != reply["id"].strip():
            raise invalid(f"{path}[{index}]['reply']['id'] has leading or trailing spaces.")
        replies.append(reply)
    for key in ("id", "title"):
        if len({reply[key] for reply in replies}) < len(replies):
            raise invalid(f"{path}: every {key} must be used once.")


def _list_rows(action: Json, header: Any) -> None:
    path = "interactive['action']['sections']"
    if isinstance(header, dict) and header.get("type") != "text":
        raise invalid("interactive['header'] of a list must be text.")
    _text(action, "button", 20, path="interactive['action']")
    sections = _list(action, "sections", "interactive['action']", 10)
    ids: list[str] = []
    for index, section in enumerate(sections):
        _text(section, "title", 24, path=f"{path}[{index}]", required=len(sections) > 1)
        for row in _list(section, "rows", f"{path}[{index}]", 10):
            _text(row, "id", 200, path="row")
            _text(row, "title", 24, path="row")
            _text(row, "description", 72, path="row", required=False)
            ids.append(row["id"])
    if len(ids) > 10:
        raise invalid(f"{path}: a list holds at most 10 rows over all sections.")
    if len(set(ids)) < len(ids):
        raise invalid(f"{path}: every row id must be used once.")


_CHECKS: dict[str, Callable[[Json], None]] = {
    "text": _check_text,
    "location": _check_location,
    "reaction": _check_reaction,
    "template": _check_template,
    "interactive": _check_interactive,
}
