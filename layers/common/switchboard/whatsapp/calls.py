"""Calls at Meta: making one, answering one, ending one, and asking whether a person may be called.

(Cloud API, Calling.) SDP is passed on as it is: the media never come by here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote

from switchboard.whatsapp.client import (
    Answer,
    GraphClient,
    NotSent,
    Rejected,
    Throttled,
    Unconfirmed,
)
from switchboard.whatsapp.storable import is_id, unfit

#: Bytes of a session description. Meta names no limit; a browser's has a few thousand.
LONGEST_SDP = 65_536
#: Meta refuses a call without the person's permission with this code.
NO_PERMISSION = 138006
#: What Meta calls a permission that holds; every other word is a no.
_HOLDS = frozenset({"temporary", "permanent", "granted"})

Verb = Literal["pre_accept", "accept", "reject", "terminate"]
NoAnswer = Rejected | Throttled | NotSent | Unconfirmed


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether a number may call a person.

    `status` is temporary, permanent, granted or no, `word` Meta's own; `actions` is Meta's list of
    what may be done, with its limits.
    """

    status: str
    word: str | None
    expires_at: datetime | None
    actions: list[dict[str, Any]]

    @property
    def holds(self) -> bool:
        """Whether the person allows calls."""
        return self.status != "no"


def sdp_fault(sdp: str) -> str | None:
    """Return why this is no session description, None where it looks like one (RFC 8866).

    It is lines of `<letter>=<value>`: v=0 first, then o=, s= and, further down, t=.
    """
    if len(sdp.encode("utf-8", "surrogatepass")) > LONGEST_SDP:
        return f"is over {LONGEST_SDP} bytes"
    lines = sdp.replace("\r\n", "\n").rstrip("\n").split("\n")
    if lines[0] != "v=0":
        return "must begin with the line v=0 (RFC 8866)"
    for line in lines:
        if len(line) < 2 or not ("a" <= line[0] <= "z") or line[1] != "=":
            return "must be lines like a=sendrecv (RFC 8866)"
    missing = [f"{letter}=" for letter in "ost" if not any(li[0] == letter for li in lines)]
    return f"lacks the line {missing[0]} (RFC 8866)" if missing else None


def connect(
    client: GraphClient,
    phone_number_id: str,
    token: str,
    *,
    to: str,
    is_user_id: bool,
    sdp: str,
    key: str,
) -> str | NoAnswer:
    """Call a person and return Meta's id of the call. POST /{phone_number_id}/calls, connect.

    `to` is digits, or a business-scoped user id; `key` comes back with parts of the call.
    """
    body = {
        "messaging_product": "whatsapp",
        "action": "connect",
        **({"recipient": to} if is_user_id else {"to": f"+{to}"}),
        "session": {"sdp_type": "offer", "sdp": sdp},
        "biz_opaque_callback_data": key,
    }
    answer = client.call("POST", _path(phone_number_id, "calls"), token, body=body)
    if not isinstance(answer, Answer):
        return answer
    calls = (answer.document or {}).get("calls")
    first = calls[0] if isinstance(calls, list) and calls else None
    call_id = first.get("id") if isinstance(first, dict) else None
    if not is_id(call_id) or unfit(call_id) is not None:
        return Unconfirmed("the answer names no call", http_status=answer.status)
    return call_id


def act(
    client: GraphClient,
    phone_number_id: str,
    token: str,
    verb: Verb,
    call_id: str,
    *,
    sdp: str | None = None,
) -> NoAnswer | None:
    """Answer or end a call; None when Meta has done it. POST /{phone_number_id}/calls.

    pre_accept and accept carry the same SDP answer.
    """
    body: dict[str, Any] = {"messaging_product": "whatsapp", "call_id": call_id, "action": verb}
    if sdp is not None:
        body["session"] = {"sdp_type": "answer", "sdp": sdp}
    answer = client.call("POST", _path(phone_number_id, "calls"), token, body=body)
    if not isinstance(answer, Answer):
        return answer
    if (answer.document or {}).get("success") is True:
        return None
    return Unconfirmed("the answer does not say so", http_status=answer.status)


def ask_permission(
    client: GraphClient, phone_number_id: str, token: str, *, to: str, is_user_id: bool
) -> Permission | NoAnswer:
    """Ask whether a person may be called. GET /{phone_number_id}/call_permissions.

    Meta answers 5 a second, then 613, which is Throttled.
    """
    params = {"recipient": to} if is_user_id else {"user_wa_id": to}
    answer = client.call("GET", _path(phone_number_id, "call_permissions"), token, params=params)
    if not isinstance(answer, Answer):
        return answer
    document = answer.document or {}
    told = document.get("permission")
    if not isinstance(told, dict) or unfit(document) is not None:
        return Unconfirmed("the answer tells of no permission", http_status=answer.status)
    word = told.get("status")
    actions = document.get("actions")
    return Permission(
        word if word in _HOLDS else "no",
        word[:100] if isinstance(word, str) else None,
        _time(told.get("expiration_time")),
        [one for one in actions if isinstance(one, dict)] if isinstance(actions, list) else [],
    )


def _path(phone_number_id: str, what: str) -> str:
    return f"{quote(phone_number_id, safe='')}/{what}"


def _time(value: Any) -> datetime | None:
    """Return Meta's Unix seconds, a number or text, as a time; None for anything else."""
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) <= 11):
        return None
    return datetime.fromtimestamp(int(text), UTC)
