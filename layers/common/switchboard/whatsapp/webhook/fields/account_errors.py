"""What Meta could not do for an account or its app: `errors` of a value of the field messages.

No field of Meta's: they stand beside the messages and statuses of a change, or alone in it. Each is
kept as an event of the number, with the first ids of what it came beside (`beside`, a key of ours),
or the people that a value without messages names. They tell no time; sometimes their entry does.
(Webhooks, errors)
"""

from __future__ import annotations

from collections.abc import Iterable

from switchboard.whatsapp.webhook.fields._field import Change, Field, odd
from switchboard.whatsapp.webhook.fields._told import parts, told
from switchboard.whatsapp.webhook.items import Item
from switchboard.whatsapp.webhook.payloads._read import Object

NAME = "account_errors"


def _read(change: Change) -> Iterable[Item]:
    value = change.value
    around = {key: value[key] for key in ("beside", "contacts") if value.get(key)}
    for error in parts(value, "errors"):
        if type(error) is not dict:
            yield odd(change, error, "an error is not an object")
            continue
        part = {"errors": [error], **around}
        yield told(change, "account_event", NAME, _code(error), part=part, shown=part)


def _code(error: Object) -> str:
    """Return Meta's code, which names the error (its texts change)."""
    code = error.get("code")
    return str(code) if type(code) is int or (type(code) is str and code) else "unknown"


KIND = Field(name=NAME, read=_read, events=("account_event",), is_apart=True)
