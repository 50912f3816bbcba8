"""Calls: connect, what became of the ringing, terminate, and what Meta adds afterwards.

(Webhooks, calls.) Each part of a call is an event of its own, in any order; the row of the call
follows from all of them. A business's calls have statuses, which also come in the field messages.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from switchboard.whatsapp.storable import is_id
from switchboard.whatsapp.webhook.fields._field import Change, Field, Odd, event, odd
from switchboard.whatsapp.webhook.fields._person import is_from_business, person, turned
from switchboard.whatsapp.webhook.items import Item
from switchboard.whatsapp.webhook.messages import read_messages
from switchboard.whatsapp.webhook.values import seconds

_DIRECTIONS = {"USER_INITIATED": "inbound", "BUSINESS_INITIATED": "outbound"}
#: Meta's keys of a call that have a place of their own; the rest is of what came afterwards.
_PLACED = frozenset(
    "id from from_user_id from_parent_user_id to to_user_id to_parent_user_id event timestamp"
    " direction status start_time end_time duration biz_opaque_callback_data cta_payload"
    " deeplink_payload session errors type recipient_id recipient_user_id"
    " recipient_parent_user_id".split()
)
_LONGEST_WORD = 100
#: A day in seconds and more: no call is that long.
_LONGEST_CALL = 7 * 86_400


def _is_mine(value: dict[str, Any]) -> bool:
    return "calls" in value


def _read(change: Change) -> Iterable[Item]:
    calls = change.value.get("calls", [])
    statuses = change.value.get("statuses", [])
    if type(calls) is not list or type(statuses) is not list:
        raise Odd("calls or statuses is not a list")
    errors = change.value.get("errors")
    for call in calls:
        part = {"calls": [call]} | ({"errors": errors} if errors else {})
        try:
            yield _part_of_call(change, call, part, errors)
        except Odd as reason:
            yield odd(change, call, str(reason))
    for status in statuses:
        part = {"statuses": [status]} | ({"errors": errors} if errors else {})
        try:
            yield _status(change, status, part, errors)
        except Odd as reason:
            yield odd(change, status, str(reason))


def _part_of_call(change: Change, call: Any, part: dict[str, Any], errors: Any) -> Item:
    if type(call) is not dict:
        raise Odd("a call is not an object")
    word = _word(call.get("event"), "event")
    direction = _DIRECTIONS.get(str(call.get("direction")))
    if direction is None and call.keys() & {"from", "to"}:
        direction = "outbound" if is_from_business(call, change.value) else "inbound"
    document = _common(change, turned(call) if direction == "outbound" else call)
    document["ev"] = word
    if direction is not None:
        document["dir"] = direction
    for ours, key in (("cta", "cta_payload"), ("dl", "deeplink_payload")):
        if type(call.get(key)) is str:
            document[ours] = call[key]
    if type(call.get("session")) is dict and word == "connect":
        document["ss"] = call["session"]
    if type(call.get("status")) is str:
        document["st"] = call["status"][:_LONGEST_WORD]
    document |= _lasting(call)
    found = [*_list(call.get("errors")), *_list(errors)]
    if found:
        document["er"] = found
    rest = {key: value for key, value in call.items() if key not in _PLACED}
    if rest:
        document["x"] = rest
    return event(change, "call", document, at=_time(call), part=part)


def _lasting(call: dict[str, Any]) -> dict[str, int]:
    """Return the times of a call that was picked up; Meta writes numbers as text here and there."""
    found = {}
    for ours, key in (("b", "start_time"), ("e", "end_time")):
        time = seconds(call.get(key))
        if time is not None:
            found[ours] = time
    duration = call.get("duration")
    if type(duration) is str and duration.isascii() and duration.isdigit() and len(duration) < 10:
        duration = int(duration)
    if type(duration) is int and 0 <= duration <= _LONGEST_CALL:
        found["du"] = duration
    return found


def _status(change: Change, status: Any, part: dict[str, Any], errors: Any) -> Item:
    if type(status) is not dict:
        raise Odd("a call's status is not an object")
    word = _word(status.get("status"), "status")
    seen = {key: value for key, value in status.items() if not key.startswith("recipient_")}
    seen |= {
        theirs: status[key]
        for theirs, key in (
            ("from", "recipient_id"),
            ("from_user_id", "recipient_user_id"),
            ("from_parent_user_id", "recipient_parent_user_id"),
        )
        if key in status
    }
    document = _common(change, seen)
    # Only calls of the business have statuses. (Webhooks, calls)
    document |= {"ev": "status", "st": word, "dir": "outbound"}
    found = [*_list(status.get("errors")), *_list(errors)]
    if found:
        document["er"] = found
    return event(change, "call", document, at=_time(status), part=part)


def _common(change: Change, seen: dict[str, Any]) -> dict[str, Any]:
    """Return a call's id and its person, who is the sender in `seen`; raises Odd."""
    if change.phone_number_id is None:
        raise Odd("metadata.phone_number_id is missing")
    if not is_id(seen.get("id")):
        raise Odd("a call has no id")
    (read,) = read_messages(
        [seen | {"type": "call"}],
        change.value.get("contacts"),
        change.waba_id,
        change.phone_number_id,
    )
    document: dict[str, Any] = {"i": []} if isinstance(read, str) else person(read.sender)
    document["w"] = seen["id"]
    if type(seen.get("biz_opaque_callback_data")) is str:
        document["cb"] = seen["biz_opaque_callback_data"]
    return document


def _time(part: dict[str, Any]) -> int:
    at = seconds(part.get("timestamp"))
    if at is None:
        raise Odd("a call's timestamp is no time in Unix seconds")
    return at


def _word(value: Any, key: str) -> str:
    if type(value) is not str or not 0 < len(value) <= _LONGEST_WORD:
        raise Odd(f"a call's {key} is missing or no word")
    return value


def _list(value: Any) -> list[Any]:
    return value if type(value) is list else []


KIND = Field(name="calls", read=_read, events=("call",), is_mine=_is_mine, is_apart=True)
