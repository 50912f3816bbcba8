"""What a filter means, told a second time in plain Python: the SQL's answer is held against it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from switchboard.kernel import phones

Json = dict[str, Any]


@dataclass
class Person:
    """A contact as a test makes it: columns, and its conversations' times."""

    columns: Json = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    attributes: Json = field(default_factory=dict)
    #: Of each conversation: the last inbound message and the last of all.
    heard: list[tuple[datetime | None, datetime | None]] = field(default_factory=list)


def holds(wanted: Json, person: Person, now: datetime) -> bool:
    """Return whether the filter (its JSON) finds the person."""
    if "all" in wanted:
        return all(holds(one, person, now) for one in wanted["all"])
    if "any" in wanted:
        return any(holds(one, person, now) for one in wanted["any"])
    if "not" in wanted:
        return not holds(wanted["not"], person, now)
    name, op = wanted["field"].removeprefix("contact."), wanted["op"]
    if op == "is_not":
        return not holds({**wanted, "op": "is"}, person, now)
    value: Any = wanted.get("value")
    if op == "exists" and value is False:
        return not holds({**wanted, "value": True}, person, now)
    if name.startswith("attributes."):
        held = person.attributes.get(name.removeprefix("attributes."))
        return held is not None and _attribute(held, op, value, now)
    found: Any = _column(name, person)
    if found is None:
        return False
    if op == "exists":
        return bool(found) if name == "tags" else True
    if isinstance(found, datetime):
        return _time(found, op, value, now)
    if name == "tags":
        return value in found if op == "contains" else bool(set(value) & set(found))
    asked = [_normal(name, op, one) for one in (value if op == "in" else [value])]
    return _text(found, op, asked)


def _column(name: str, person: Person) -> Any:
    match name:
        case "tags":
            return person.tags
        case "phone":
            return person.columns.get("phone_number")
        case "language":
            locale = person.columns.get("locale")
            return None if locale is None else re.split("[_-]", locale)[0].lower()
        case "country_code":
            phone = person.columns.get("phone_number")
            return person.columns.get("country_code") or (
                None if phone is None else phones.country_of(phone.removeprefix("+"))
            )
        case "last_inbound_at" | "last_message_at":
            index = int(name == "last_message_at")
            return max((one for times in person.heard if (one := times[index])), default=None)
    return person.columns.get(name)


def _normal(name: str, op: str, value: str) -> str:
    if name == "phone":
        digits = value.removeprefix("+")
        return "+" + (digits if op == "starts_with" else phones.national_variant(digits))
    if name == "country_code":
        return value.upper()
    return value.lower() if name == "language" else value


def _text(found: str, op: str, asked: list[str]) -> bool:
    match op:
        case "is" | "in":
            return found in asked
        case "contains":
            return asked[0] in found
        case "starts_with":
            return found.startswith(asked[0])
    raise AssertionError(op)


def _time(found: datetime, op: str, value: Any, now: datetime) -> bool:
    match op:
        case "before":
            return found < _moment(value)
        case "after":
            return found >= _moment(value)
        case "within":
            return now - timedelta(days=value) < found <= now
    raise AssertionError(op)


def _moment(value: str) -> datetime:
    time = datetime.fromisoformat(value)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: true is no 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _attribute(found: Any, op: str, value: Any, now: datetime) -> bool:
    is_number = isinstance(found, (int, float)) and not isinstance(found, bool)
    match op:
        case "exists":
            return True
        case "is":
            return _same(found, value)
        case "in":
            return any(_same(found, one) for one in value)
        case "contains":
            if isinstance(found, list):
                return any(_same(one, value) for one in found)
            return isinstance(found, str) and isinstance(value, str) and value in found
        case "starts_with":
            return isinstance(found, str) and found.startswith(value)
        case "greater":
            return is_number and found > value
        case "less":
            return is_number and found < value
    return isinstance(found, str) and _attribute_time(found, op, value, now)


def _attribute_time(found: str, op: str, value: Any, now: datetime) -> bool:
    shape = r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00))?"
    if not re.fullmatch(shape, found, re.ASCII):
        return False
    # Between the 28th and the first of March.
    found = found.replace("2026-02-31", "2026-02-28T23:59:59Z")
    try:
        time = _moment(found).replace(microsecond=0)
    except ValueError:
        return False
    if op == "within":
        return _time(time, op, value, now.replace(microsecond=0))
    return _time(time, op, _moment(value).replace(microsecond=0).isoformat(), now)
