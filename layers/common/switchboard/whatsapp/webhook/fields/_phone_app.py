"""Copies of messages from the WhatsApp Business app on the number's phone (coexistence).

What was typed there comes as an echo, what was there before as history. Both are messages as those
of the field `messages`, seen from the phone: `from` may be the business, then `to` is the person.
"""

from __future__ import annotations

from typing import Any

from switchboard.whatsapp.storable import dump
from switchboard.whatsapp.webhook.bodies import body_of
from switchboard.whatsapp.webhook.fields._field import Change, Odd, change_with, event
from switchboard.whatsapp.webhook.fields._person import is_from_business, person, turned
from switchboard.whatsapp.webhook.items import Event, Malformed, Message
from switchboard.whatsapp.webhook.messages import read_messages
from switchboard.whatsapp.webhook.payloads import Edit, Media, Reaction, Revoke
from switchboard.whatsapp.webhook.preview import preview

#: history_context.status in the words of the ladder. PENDING and an unknown word: Meta has it, and
#: no more is known.
_LADDER = {
    "SENT": "sent",
    "DELIVERED": "delivered",
    "READ": "read",
    "PLAYED": "played",
    "ERROR": "failed",
}
_PLACEHOLDER = "media_placeholder"


def copy_of(
    change: Change, raw: Any, part: dict[str, Any], *, origin: str, thread: str | None = None
) -> Event | Malformed:
    """Return the event of a message that `part`, a value with just this message, holds.

    `origin` is that of the message (phone_app, history), `thread` the person's id in a history.
    """
    try:
        document, at = _copy(change, raw, origin, thread)
    except Odd as reason:
        body = body_of(change.waba_id, change_with(change, part), change.entry_time)
        return Malformed(change.waba_id, change.phone_number_id, str(reason), dump(raw), dump(body))
    return event(change, "phone_app_message", document, at=at, part=part)


def _copy(change: Change, raw: Any, origin: str, thread: str | None) -> tuple[dict[str, Any], int]:
    if change.phone_number_id is None:
        raise Odd("metadata.phone_number_id is missing")
    if type(raw) is not dict:
        raise Odd("message is not an object")
    is_ours = origin == "phone_app" or (
        (thread is None or raw.get("from") != thread) and is_from_business(raw, change.value)
    )
    read, word = _read(change, raw, thread, is_ours=is_ours)
    document: dict[str, Any] = {
        **person(read.sender),
        "w": read.id,
        "o": origin,
        "in": not is_ours,
        "ty": read.type,
        "c": read.content,
        # What a person wrote has been on the phone: nothing of it is unread here.
        "s": _LADDER.get(word, "accepted") if is_ours else "read",
        # How much a copy tells: a placeholder less than its file, history less than an echo.
        "r": 0 if read.type == _PLACEHOLDER else 1 if origin == "history" else 2,
        **_about(read),
    }
    if read.group_id is not None:
        document["g"] = read.group_id
        if is_ours:
            document["i"] = []
    if read.extra:
        document["x"] = read.extra
        said = read.extra.get("context")
        if type(said) is dict and (said.get("forwarded") or said.get("frequently_forwarded")):
            document["f"] = True
    if isinstance(read.payload, Media):
        document["md"] = {
            "type": read.type,
            "id": read.payload.id,
            "mime_type": read.payload.mime_type,
            "sha256": read.payload.sha256,
            "file_name": read.payload.filename,
            "caption": read.payload.caption,
        }
    return document, read.timestamp


def _read(
    change: Change,
    raw: dict[str, Any],
    thread: str | None,
    *,
    is_ours: bool,
) -> tuple[Message, str]:
    """Return the message as the field messages would hold it, and the word of its history."""
    seen = turned(raw) if is_ours else dict(raw)
    if is_ours and seen.get("recipient_type") == "group":
        seen["group_id"] = raw.get("to")
    context = seen.pop("history_context", None)
    if thread is not None and not seen.keys() & {"from", "from_user_id"}:
        seen["from"] = thread
    (read,) = read_messages(
        [seen], change.value.get("contacts"), change.waba_id, change.phone_number_id or ""
    )
    if isinstance(read, str):
        raise Odd(read)
    word = context.get("status") if type(context) is dict else None
    return read, word if type(word) is str else ""


def _about(message: Message) -> dict[str, Any]:
    """Return what is shown of a message, and which other one it is about."""
    match message.payload:
        case Edit(message_id=other, type=kind, content=content):
            done = {"k": "edit", "x": {"type": kind, "content": content}}
            return {"cx": other, "ch": done}
        case Revoke(message_id=other):
            return {"cx": other, "ch": {"k": "revoke"}}
        case Reaction(message_id=other):
            about: str | None = other
        case _:
            about = message.context_id
    shown = {"pv": preview(message)}
    return shown if about is None else shown | {"cx": about}
