"""From a webhook body to its items: entry, change, value, then every message and every status.

Meta batches up to 1,000 updates into one body and its envelopes vary (Cloud API, Webhooks: field
and object inside value, entries without id, values without metadata). So each part is judged by
itself: what cannot be read costs itself only, and each part in comes out as one item.

This is the hot path of intake: plain checks, no models built by a validator.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from switchboard.kernel.errors import NotJson
from switchboard.whatsapp.storable import DEEPEST, dump, has_infinite, is_id, unfit
from switchboard.whatsapp.webhook.bodies import body_of
from switchboard.whatsapp.webhook.items import (
    Event,
    Item,
    Malformed,
    Message,
    Status,
    Unhandled,
)
from switchboard.whatsapp.webhook.messages import People, read_message
from switchboard.whatsapp.webhook.payloads import (
    Odd,
)
from switchboard.whatsapp.webhook.payloads._read import Object
from switchboard.whatsapp.webhook.statuses import read_status
from switchboard.whatsapp.webhook.values import seconds

_LEVELS_ABOVE_ITEM = 7
"""Body, entry list, entry, changes, change, value, messages: what a message is nested in."""

_OTHER_STATUSES = {"call": "calls", "payment": "payment_status"}
"""What reads the statuses of another type than a message's: calls, and a field of our own name."""

_ERRORS = "account_errors"
"""What reads the errors of an account: a field of our own name as well."""

_MOST_BESIDE = 10
"""Ids that each such error is kept with: to find its messages by, and no list of a thousand."""

_READ_HERE = frozenset({"messaging_product", "metadata", "messages", "statuses", "contacts"})


def parse(body: bytes) -> list[Item]:
    """Return everything in a webhook body, in its order, messages of a change before its statuses.

    Raises NotJson for a body that is not a JSON object, and nothing else whatever its shape: each
    message, status, error list and change comes out as exactly one item.
    """
    root, suspect = _load(body)
    entries = root.get("entry")
    if type(entries) is not list:
        return [Malformed(None, None, "entry is missing or not a list", body, body)]
    reader = _Reader(body, suspect=suspect)
    for entry in entries:
        reader.read_entry(entry)
    return reader.items


def _load(body: bytes) -> tuple[Object, bool]:
    """Return the body's object, and whether a part of it may be what the database cannot hold."""
    try:
        root = orjson.loads(body)
        suspect = b"\\u0000" in body or _is_deep(body, root)
    except orjson.JSONDecodeError:
        # A lone surrogate or a number like 1e999 makes orjson refuse the whole body; json reads it.
        suspect = True
        try:
            root = json.loads(body, parse_constant=_refuse_constant, parse_int=_whole)
        except (ValueError, RecursionError) as error:
            raise NotJson("the body is not JSON") from error
    if type(root) is not dict:
        raise NotJson("the body is JSON but not an object")
    return root, suspect


def _is_deep(body: bytes, root: Any) -> bool:
    """Return whether a message of the body may be nested deeper than DEEPEST levels."""
    if body.count(b"{") + body.count(b"[") <= DEEPEST:
        return False
    # Counting levels in Python is slow; the writer stops at 254, so it is made to stop at DEEPEST.
    for _ in range(254 - DEEPEST - _LEVELS_ABOVE_ITEM):
        root = [root]
    try:
        orjson.dumps(root)
    except TypeError:
        return True
    return False


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def _whole(digits: str) -> int | float:
    """Return a whole number as orjson reads it: beyond 64 bits a float."""
    number = int(digits) if len(digits) <= 20 else float(digits)
    return number if -(2**63) <= number < 2**64 else float(digits)


class _Reader:
    """Collects the items of one body.

    `suspect` says that some part of the body may be what jsonb cannot hold; only then every item
    is looked through, which costs more than reading it.
    """

    __slots__ = ("_body", "_suspect", "items")

    def __init__(self, body: bytes, *, suspect: bool) -> None:
        self.items: list[Item] = []
        self._body = body
        self._suspect = suspect

    def read_entry(self, entry: Any) -> None:
        """Read one entry: a WABA's changes."""
        if type(entry) is not dict:
            self._malformed(None, None, "entry is not an object", entry, {"entry": [entry]})
            return
        waba_id = self._address_id(entry.get("id"))
        changes = entry.get("changes")
        if type(changes) is not list:
            if "field" not in entry and "value" not in entry:
                self._malformed(
                    waba_id, None, "changes is missing or not a list", entry, {"entry": [entry]}
                )
                return
            # Meta's own PARTNER_APP_* samples put the change's keys on the entry itself.
            changes = [{key: entry[key] for key in ("field", "value") if key in entry}]
        time = seconds(entry["time"]) if "time" in entry else None
        for change in changes:
            self._read_change(change, waba_id, time)

    def _read_change(self, change: Any, waba_id: str | None, time: int | None) -> None:
        if type(change) is not dict:
            self._malformed(
                waba_id, None, "change is not an object", change, body_of(waba_id, change)
            )
            return
        value = change.get("value")
        field = change.get("field")
        if type(field) is not str or not field:
            field = _field_of(value)
        if field != "messages":
            self._read_field(waba_id, field, change, time)
        elif type(value) is dict:
            self._read_messages(change, value, waba_id, time)
        else:
            self._malformed(
                waba_id,
                None,
                "value is missing or not an object",
                change,
                body_of(waba_id, change, time),
            )

    def _read_field(
        self, waba_id: str | None, field: str, change: Object, time: int | None
    ) -> None:
        """Read a change of any field but messages."""
        # Imported here: most deliveries hold messages and statuses only.
        from switchboard.whatsapp.webhook.fields import FIELDS, Change

        value = change.get("value")
        number = _phone_number_id(value)
        kind = FIELDS.of(field, value) if type(value) is dict else None
        if kind is None or type(value) is not dict:
            self._unhandled(waba_id, number, field, change, time)
            return
        problem = unfit(change) if self._suspect else None
        read = Change(waba_id, self._address_id(number), field, value, time)
        items: list[Item] = []
        if problem is None or (kind.is_apart and not has_infinite(change)):
            try:
                items = list(kind.read(read))
            except Odd as odd:
                problem = problem or str(odd)
        if problem is not None and not items:
            self._malformed(
                waba_id, read.phone_number_id, problem, change, body_of(waba_id, change, time)
            )
        elif items:
            # What cannot be stored stands in some of them, or beside them.
            self.items += items if problem is None else map(_fit_item, items)
            rest = _rest(value, items)
            if rest:  # beside what is read: a list that Meta adds one day
                part = {**change, "value": _address(value) | rest}
                self._unhandled(waba_id, number, field, part, time)
        else:  # an empty list, say: kept, for nobody knows what it means
            self._unhandled(waba_id, number, field, change, time)

    def _read_messages(
        self, change: Object, value: Object, waba_id: str | None, time: int | None
    ) -> None:
        """Read a value of the field messages: its messages, its statuses, and what else it has."""
        before = len(self.items)
        phone_number_id = self._address_id(_phone_number_id(value))
        messages = value.get("messages")
        if messages:
            if type(messages) is list:
                self._read_each_message(messages, value.get("contacts"), waba_id, phone_number_id)
            else:
                self._odd_part(
                    waba_id,
                    phone_number_id,
                    "messages is not a list",
                    messages,
                    {"messages": messages},
                )
        statuses = value.get("statuses")
        if statuses:
            if type(statuses) is list:
                for status in statuses:
                    self._read_status(status, value, waba_id, phone_number_id, time)
            else:
                self._odd_part(
                    waba_id,
                    phone_number_id,
                    "statuses is not a list",
                    statuses,
                    {"statuses": statuses},
                )
        if value.get("errors"):
            value = self._read_errors(value, before, waba_id, time)
        if len(self.items) == before:
            # Another field's, by its keys: calls, preferences, copies.
            self._read_field(waba_id, "messages", change, time)
            return
        if not value.keys() <= _READ_HERE or _has_odd_contacts(value):
            # A list Meta adds one day, say: an item of its own beside the messages.
            rest = {
                key: part
                for key, part in value.items()
                if part
                and (key not in _READ_HERE or (key == "contacts" and type(part) is not list))
            }
            if rest:
                self._unhandled(waba_id, phone_number_id, "messages", _change(value, rest), time)

    def _read_errors(
        self, value: Object, before: int, waba_id: str | None, time: int | None
    ) -> Object:
        """Read the errors of an account, a field of our own name; return the value without them.

        What is no error object stays in it. `before`: the items that are of other changes.
        """
        errors = value["errors"]
        told = [error for error in errors if type(error) is dict] if type(errors) is list else []
        if not told:
            return value
        read = _address(value) | {"errors": told}
        beside = [i.id for i in self.items[before:] if isinstance(i, Message | Status)]
        if beside:
            read["beside"] = beside[:_MOST_BESIDE]
        elif type(value.get("contacts")) is list:
            read["contacts"] = value["contacts"]
        change = {"field": _ERRORS, "value": read}
        self._read_field(waba_id, _ERRORS, change, time)
        return value | {"errors": [error for error in errors if type(error) is not dict]}

    def _read_each_message(
        self,
        messages: list[Any],
        contacts: Any,
        waba_id: str | None,
        phone_number_id: str | None,
    ) -> None:
        people = People(contacts if type(contacts) is list else [], messages, suspect=self._suspect)
        for message in messages:
            problem = self._problem(message, "message", phone_number_id)
            item = problem or read_message(message, waba_id, phone_number_id or "", people)
            if isinstance(item, str):
                value: Object = {"messages": [message]}
                if type(message) is dict and (contact := people.contact_of(message)) is not None:
                    value["contacts"] = [contact]
                self._odd_part(waba_id, phone_number_id, item, message, value)
            else:
                self.items.append(item)

    def _read_status(
        self,
        status: Any,
        value: Object,
        waba_id: str | None,
        phone_number_id: str | None,
        time: int | None,
    ) -> None:
        problem = self._problem(status, "status", phone_number_id)
        if problem is None and (kind := status.get("type", "message")) != "message":
            # A payment's or a call's status: its id is not a message's.
            change = _change(value, {"statuses": [status]})
            field = _OTHER_STATUSES.get(kind) if type(kind) is str else None
            if field is None:
                self._unhandled(waba_id, phone_number_id, "messages", change, time)
            else:
                self._read_field(waba_id, field, change, time)
            return
        item = problem or read_status(status, waba_id, phone_number_id or "")
        if isinstance(item, str):
            self._odd_part(waba_id, phone_number_id, item, status, {"statuses": [status]})
        else:
            self.items.append(item)

    def _problem(self, item: Any, name: str, phone_number_id: str | None) -> str | None:
        """Return why a message or a status is not even looked at, None if it is."""
        if self._suspect and (reason := unfit(item)) is not None:
            return reason
        if type(item) is not dict:
            return f"{name} is not an object"
        if phone_number_id is None:
            return "metadata.phone_number_id is missing"
        return None

    def _unhandled(
        self,
        waba_id: str | None,
        phone_number_id: Any,
        field: str,
        change: Object,
        time: int | None,
    ) -> None:
        problem = unfit(change) if self._suspect else None
        number = self._address_id(phone_number_id)
        if problem is None:
            self.items.append(Unhandled(waba_id, number, field, change, time))
        else:
            self._malformed(waba_id, number, problem, change, body_of(waba_id, change, time))

    def _odd_part(
        self,
        waba_id: str | None,
        phone_number_id: str | None,
        reason: str,
        part: Any,
        value: Object,
    ) -> None:
        """Take up a message or status, or what stands in their lists' place, alone in `value`."""
        if phone_number_id is not None:
            value["metadata"] = {"phone_number_id": phone_number_id}
        body = body_of(waba_id, {"field": "messages", "value": value})
        self._malformed(waba_id, phone_number_id, reason, part, body)

    def _malformed(
        self,
        waba_id: str | None,
        phone_number_id: str | None,
        reason: str,
        part: Any,
        body: Object,
    ) -> None:
        try:
            # Written again, an infinite number would be null.
            kept = None if self._suspect and has_infinite(part) else (dump(part), dump(body))
        except RecursionError:
            kept = None
        raw, whole = kept or (self._body, self._body)
        self.items.append(Malformed(waba_id, phone_number_id, reason, raw, whole))

    def _address_id(self, value: Any) -> str | None:
        """Return the id of a WABA or a number, None where it cannot be one."""
        if type(value) is int:
            value = str(value)
        if not is_id(value) or (self._suspect and unfit(value)):
            return None
        return str(value)


def _fit_item(item: Item) -> Item:
    """Return an item of a change that holds what cannot be stored: odd if it is in this one."""
    if isinstance(item, Event) and (problem := unfit(item.change) or unfit(item.detail)):
        body = body_of(item.waba_id, item.change, item.entry_time)
        return Malformed(item.waba_id, item.phone_number_id, problem, dump(item.change), dump(body))
    return item


def _field_of(value: Any) -> str:
    """Return the field of a change that does not name it: from inside the value, or by its keys."""
    if type(value) is not dict:
        return ""
    field = value.get("field")
    if type(field) is str:
        return field
    return "messages" if "messages" in value or "statuses" in value else ""


def _phone_number_id(value: Any) -> Any:
    metadata = value.get("metadata") if type(value) is dict else None
    return metadata.get("phone_number_id") if type(metadata) is dict else None


def _has_odd_contacts(value: Object) -> bool:
    contacts = value.get("contacts")
    return contacts is not None and type(contacts) is not list


def _change(value: Object, part: Object) -> Object:
    """Return a change of the field messages that holds only `part` of `value`, and its address."""
    return {"field": "messages", "value": _address(value) | part}


def _address(value: Object) -> Object:
    return {key: value[key] for key in ("messaging_product", "metadata") if key in value}


def _rest(value: Object, items: list[Item]) -> Object:
    """Return what of a change's value none of its items holds, addresses aside."""
    held = {"messaging_product", "metadata", "contacts"}
    for item in items:
        match item:
            case Event(change=change) | Unhandled(raw=change):
                held |= change["value"].keys()
            case Malformed(body=body):
                for entry in json.loads(body)["entry"]:
                    held |= entry["changes"][0]["value"].keys()
            case Message():
                held.add("messages")
            case Status():
                held.add("statuses")
    return {key: part for key, part in value.items() if part and key not in held}
