"""What Meta checks before it accepts a message: shapes, limits, required parameters.

graph_shapes.py has the codes, graph_interactive.py the kinds of interactive messages,
graph_templates.py what templates are held against.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local.simulator.graph_interactive import check_interactive
from local.simulator.graph_shapes import (
    Json,
    file_of,
    invalid,
    missing,
    object_of,
    only_keys,
    text_of,
    unacceptable,
)
from local.simulator.graph_templates import check_template, files_of
from local.simulator.people import digits_of

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
    """A request to send that passed every check. `to` is digits or a business-scoped user id.

    `is_lite`: by the Marketing Messages API.
    """

    to: str
    written_to: str
    type: str
    content: Any
    context_id: str | None
    callback_data: str | None
    is_lite: bool = False


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
    only_keys(body, _COMMON | {kind}, "the request")
    content = body.get(kind)
    if content is None:
        raise missing(kind)
    if kind == "contacts":
        _contacts(content)
    elif not isinstance(content, dict):
        raise unacceptable(f"Param {kind} must be a JSON object.")
    elif kind in _MEDIA_KEYS:
        file_of(content, _MEDIA_KEYS[kind], kind)
    else:
        _CHECKS[kind](content)
    return Send(
        to=to,
        written_to=written_to,
        type=kind,
        content=content,
        context_id=_context(body, kind),
        callback_data=text_of(body, "biz_opaque_callback_data", 512, required=False),
    )


def media_of(send: Send) -> list[tuple[str, str]]:
    """The uploaded files that a message shows, each with the place of its id."""
    content = send.content
    if not isinstance(content, dict):
        return []
    if send.type == "template":
        holders = list(files_of(content))
    elif send.type in ("image", "video", "audio", "document", "sticker"):
        holders = [(send.type, content)]
    else:
        cards = (content.get("action") or {}).get("cards") or []
        headed = [("interactive", content)] if send.type == "interactive" else []
        headed += [(f"cards[{index}]", card) for index, card in enumerate(cards)]
        holders = [
            (f"{path}['header']['{kind}']", part)
            for path, holder in headed
            for kind, part in (holder.get("header") or {}).items()
            if isinstance(part, dict)
        ]
    return [(path, str(holder["id"])) for path, holder in holders if holder.get("id")]


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
    return text_of(context, "message_id", 512, path="context")


def _check_text(content: Json) -> None:
    only_keys(content, {"body", "preview_url"}, "param text")
    text_of(content, "body", 4096, path="text")


def _check_location(content: Json) -> None:
    only_keys(content, {"latitude", "longitude", "name", "address"}, "param location")
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
    if len(content) > 257:
        raise invalid("contacts must hold 1 to 257 items.")
    for index, contact in enumerate(content):
        if not isinstance(contact, dict):
            raise unacceptable(f"Param contacts[{index}] must be a JSON object.")
        name = object_of(contact, "name", f"contacts[{index}]")
        text_of(name, "formatted_name", 1024, path=f"contacts[{index}]['name']")


def _check_reaction(content: Json) -> None:
    only_keys(content, {"message_id", "emoji"}, "param reaction")
    text_of(content, "message_id", 512, path="reaction")
    emoji = content.get("emoji")
    if emoji is None:
        raise missing("reaction['emoji']")
    if not isinstance(emoji, str) or len(emoji) > 20 or re.search(r"[A-Za-z ]", emoji):
        raise invalid("reaction['emoji'] is not an emoji.")


_CHECKS: dict[str, Callable[[Json], None]] = {
    "text": _check_text,
    "location": _check_location,
    "reaction": _check_reaction,
    "template": check_template,
    "interactive": check_interactive,
}
