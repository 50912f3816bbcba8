"""Between a caller's message, what is stored of it, and Meta's request body.

Stored are Meta's type, the object of that name and the context; what else stands in a message
(an identity hash, keys of tomorrow) is kept in its metadata under EXTRAS.
"""

from __future__ import annotations

from typing import Any

from switchboard.outbox.ready import Ready
from switchboard.whatsapp import outbound

#: Key of a message's metadata; callers' own keys never start with `$`.
EXTRAS = "$message"


def check(message: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the message as it will be sent, and warnings about what could not be checked.

    Raises InvalidMessage (422) naming the field, the limit and the length.
    """
    checked = outbound.read(message)
    return checked.body(), checked.warnings


def extras(message: dict[str, Any]) -> dict[str, Any] | None:
    """Return what of `message` is neither its type, its object nor a plain context."""
    kind = message["type"]
    more = {key: value for key, value in message.items() if key not in {"type", kind, "context"}}
    context = message.get("context")
    if context is not None and not _plain(context):
        more["context"] = context
    return more or None


def body(ready: Ready) -> dict[str, Any]:
    """Return the body of the request; the attempt's key comes back with every status."""
    message = {"type": ready.message_type, ready.message_type: ready.content}
    if ready.context is not None:
        message["context"] = {"message_id": ready.context}
    if ready.extras is not None:
        message.update(ready.extras)
    return outbound.request_body(message, ready.recipient, ready.callback_data)


def _plain(context: Any) -> bool:
    return (
        isinstance(context, dict)
        and set(context) == {"message_id"}
        and isinstance(context["message_id"], str)
    )
