"""From a webhook body to its items: entry, change, value, then every message and every status.

Meta batches up to 1,000 updates into one body and its envelopes vary (Cloud API, Webhooks: field
and object inside value, entries without id, values without metadata). So each part is judged by
itself: what cannot be read costs itself only, and each part in comes out as one item.

This is the hot path of intake: plain checks, no models built by a validator.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import orjson

from switchboard.kernel.errors import NotJson
from switchboard.whatsapp.storable import DEEPEST, LONGEST_ID, dump, has_infinite, is_id, unfit
from switchboard.whatsapp.webhook.items import (
    Event,
    Item,
    Malformed,
    Message,
    Sender,
    Status,
    Unhandled,
)
from switchboard.whatsapp.webhook.payloads import (
    BARE,
    LISTS,
    READERS,
    TYPES,
    Odd,
    Payload,
    Unknown,
    Unsupported,
)
from switchboard.whatsapp.webhook.payloads._read import Object

LONGEST_WORD = 100
"""Characters of a message type or a status: words of Meta's vocabularies, not text."""

EARLIEST = 946_684_800
LATEST = 4_102_444_800
"""Unix seconds of 2000 and 2100: a time outside is no time in seconds (milliseconds, 0, …)."""

_LEVELS_ABOVE_ITEM = 7
"""Body, entry list, entry, changes, change, value, messages: what a message is nested in."""

_OTHER_STATUSES = {"call": "calls", "payment": "payment_status"}
"""What reads the statuses of another type than a message's: calls, and a field of our own name."""

_ERRORS = "account_errors"
"""What reads the errors of an account: a field of our own name as well."""

_MOST_BESIDE = 10
"""Ids that each such error is kept with: to find its messages by, and no list of a thousand."""

_ENVELOPE = frozenset({"from", "from_user_id", "from_parent_user_id", "id", "timestamp", "type"})
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


def rebuild(item: Message | Status | Event | Unhandled) -> dict[str, Any]:
    """Return the smallest webhook body that parses to just `item`: what a replay is fed with."""
    if isinstance(item, Unhandled):
        change = item.raw
    elif isinstance(item, Event):
        change = item.change
    else:
        value: Object = {"metadata": {"phone_number_id": item.phone_number_id}}
        if isinstance(item, Status):
            value["statuses"] = [item.raw]
        else:
            value["messages"] = [item.raw]
            if item.contact is not None:
                value["contacts"] = [item.contact]
        change = {"field": "messages", "value": value}
    return body_of(
        item.waba_id, change, item.entry_time if isinstance(item, Event | Unhandled) else None
    )


def body_of(waba_id: str | None, change: Any, entry_time: int | None = None) -> Object:
    """Return the webhook body that holds just `change`."""
    entry: Object = {"changes": [change]}
    if waba_id is not None:
        entry["id"] = waba_id
    if entry_time is not None:
        entry["time"] = entry_time
    return {"object": "whatsapp_business_account", "entry": [entry]}


def _load(body: bytes) -> tuple[Object, bool]:
    """Return the body's object, and whether a part of it may be what the database cannot hold."""
    try:
        root = orjson.loads(body)
        suspect = b"\\u0000" in body or _is_deep(body, root)
    except orjson.JSONDecodeError:
        # A lone surrogate or a number like 1e999 makes orjson refuse the whole body; json reads it.
        suspect = True
        try:
            root = json.loads(body, parse_constant=_refuse_constant)
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
            self._unhandled(waba_id, phone_number_id, "messages", change, time)
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
        people = _People(contacts if type(contacts) is list else [], messages, self._suspect)
        for message in messages:
            problem = self._problem(message, "message", phone_number_id)
            item = problem or _read_message(message, waba_id, phone_number_id or "", people)
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
        item = problem or _read_status(status, waba_id, phone_number_id or "")
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


def read_messages(
    messages: list[Any], contacts: Any, waba_id: str | None, phone_number_id: str
) -> Iterator[Message | str]:
    """Yield each of `messages` as the field messages reads it, or why there is none.

    For the lists of other fields that hold messages. What the database cannot hold is not looked
    for here. `contacts` is the value's list of them, of any shape.
    """
    people = _People(contacts if type(contacts) is list else [], messages, suspect=True)
    for message in messages:
        if type(message) is dict:
            yield _read_message(message, waba_id, phone_number_id, people)
        else:
            yield "message is not an object"


def _fit_item(item: Item) -> Item:
    """Return an item of a change that holds what cannot be stored: odd if it is in this one."""
    if isinstance(item, Event) and (problem := unfit(item.change) or unfit(item.detail)):
        body = body_of(item.waba_id, item.change, item.entry_time)
        return Malformed(item.waba_id, item.phone_number_id, problem, dump(item.change), dump(body))
    return item


def seconds(value: Any) -> int | None:
    """Return Meta's Unix seconds (a string, in some fields a number), None for anything else."""
    if type(value) is str and len(value) <= 20 and value.isascii() and value.isdigit():
        value = int(value)
    if type(value) is int and EARLIEST <= value < LATEST:
        return value
    return None


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


def _read_message(
    item: Object, waba_id: str | None, phone_number_id: str, people: _People
) -> Message | str:
    """Return the message, or why there is none."""
    message_id = item.get("id")
    if not is_id(message_id):
        return _bad_id("id", message_id)
    timestamp = seconds(item.get("timestamp"))
    if timestamp is None:
        return _bad_time(item.get("timestamp"))
    contact = people.contact_of(item)
    sender = _sender(item, contact)
    if sender is None:
        return "names no sender"

    word = item.get("type")
    if type(word) is not str or not word or len(word) > LONGEST_WORD or word in _ENVELOPE:
        word = _type_of(item)
    content = item.get(word)
    extra: Object = {}
    if len(item) > 5 or content is None or "from" not in item or "type" not in item:
        # Else the five keys are from, id, timestamp, type and the content.
        extra = {key: part for key, part in item.items() if key not in _ENVELOPE and key != word}
    payload: Payload
    if type(content) is dict or (type(content) is list and word in LISTS):
        payload = _payload(word, content)
    elif type(content) is list:
        payload = Unknown(word, "is not an object" if word in TYPES else None)
    else:
        if content is not None:
            extra[word] = content
        payload = _without_content(word, is_there=content is not None)
        content = {}
    if type(payload) is Unsupported or (type(payload) is Unknown and "errors" in item):
        # Meta's reason stands beside the object it could not give.
        payload = Unsupported.of_message(word, item)
    elif type(payload) is Unknown and payload.reason is not None:
        extra["unreadable"] = f"{word}: {payload.reason}"

    context = item.get("context")
    return Message(
        waba_id,
        phone_number_id,
        message_id,
        timestamp,
        word,
        content,
        sender,
        _id_or_none(context.get("id")) if type(context) is dict else None,
        _id_or_none(item.get("group_id")) if extra else None,
        extra,
        payload,
        contact,
        item,
    )


def _payload(word: str, content: Any) -> Payload:
    part: Any = content
    if word == "interactive":
        kind = content.get("type")
        reader = READERS.get(f"interactive.{kind}")
        if reader is None:
            # Old samples of address messages say `interactive` where they mean nfm_reply.
            kind = next((key for key in content if f"interactive.{key}" in READERS), kind)
            reader = READERS.get(f"interactive.{kind}")
        if type(kind) is not str:
            return Unknown(word, "type is missing or not a string")
        part = content.get(kind)
        if type(part) is not dict and reader is not None:
            return Unknown(word, "the object named by its type is missing")
    else:
        reader = READERS.get(word)
    if reader is None:
        return Unknown(word)
    try:
        return reader(word, part)
    except Odd as odd:
        return Unknown(word, str(odd))


def _without_content(word: str, *, is_there: bool) -> Payload:
    """Return the payload of a message without an object of its type; `is_there`: but of another."""
    if word in BARE and not is_there:
        return READERS[word](word, {})
    if word == "interactive" and not is_there:
        # So Meta tells of an interactive kind that the webhook's version does not have.
        return Unsupported(word, None, ())
    return Unknown(word, "is missing or not an object" if word in TYPES else None)


def _type_of(item: Object) -> str:
    """Return the type of a message that names none: the calling docs leave out `interactive`."""
    for word in ("interactive", *TYPES):
        if type(item.get(word)) is dict:
            return word
    return "unknown"


def _read_status(item: Object, waba_id: str | None, phone_number_id: str) -> Status | str:
    """Return the status, or why there is none."""
    message_id = item.get("id")
    if not is_id(message_id):
        return _bad_id("id", message_id)
    word = item.get("status")
    if type(word) is not str or not word or len(word) > LONGEST_WORD:
        return "status is missing or no word"
    timestamp = seconds(item.get("timestamp"))
    if timestamp is None:
        return _bad_time(item.get("timestamp"))
    participant = item.get("recipient_participant_id") or item.get("participant_recipient_id")
    if participant and not is_id(participant):
        return _bad_id("recipient_participant_id", participant)
    data = item.get("biz_opaque_callback_data")
    errors = item.get("errors")
    return Status(
        waba_id,
        phone_number_id,
        message_id,
        word,
        timestamp,
        _id_or_none(item.get("recipient_id")),
        participant or "",
        data if type(data) is str else None,
        [error for error in errors if type(error) is dict] if type(errors) is list else [],
        item,
    )


class _People:
    """Finds the contacts[] entry of each message's sender within one value."""

    __slots__ = ("_by_id", "_contacts", "_messages", "_only")

    def __init__(self, contacts: list[Any], messages: list[Any], suspect: bool) -> None:  # noqa: FBT001
        self._contacts = contacts
        if len(contacts) != 1 or type(contacts[0]) is not dict or suspect:
            people = [contact for contact in contacts if type(contact) is dict]
            self._contacts = [_fit_keys(contact) for contact in people] if suspect else people
        self._messages = messages
        self._by_id: dict[str, Object] | None = None
        self._only: bool | None = None

    def contact_of(self, message: Object) -> Object | None:
        """Return the entry with the sender's wa_id or user_id, else the only one there is.

        The only entry counts for any id only while all messages are of one sender: a second
        sender must never get the name and the ids of the first.
        """
        contacts = self._contacts
        if not contacts:
            return None
        phone, user = message.get("from"), message.get("from_user_id")
        if len(contacts) == 1:
            contact: Object = contacts[0]
            if (phone is not None and contact.get("wa_id") == phone) or (
                user is not None and contact.get("user_id") == user
            ):
                return contact
            return contact if self._one_sender() else None
        if self._by_id is None:
            self._by_id = {
                value: contact
                for key in ("wa_id", "user_id")
                for contact in contacts
                if type(value := contact.get(key)) is str
            }
        for value in (phone, user):
            if type(value) is str and value in self._by_id:
                return self._by_id[value]
        return None

    def _one_sender(self) -> bool:
        if self._only is None:
            first, *others = (
                (message.get("from"), message.get("from_user_id"))
                for message in self._messages
                if type(message) is dict
            )
            self._only = all(other == first for other in others)
        return self._only


def _fit_keys(contact: Object) -> Object:
    """Return `contact` without what cannot be stored: its message must not be lost for a name."""
    if unfit(contact) is None:
        return contact
    return {
        key: value for key, value in contact.items() if unfit(key) is None and unfit(value) is None
    }


def _sender(message: Object, contact: Object | None) -> Sender | None:
    """Return who wrote, None where neither the message nor its contact names anyone."""
    phone = message.get("from")
    user_id = message.get("from_user_id")
    parent_id = message.get("from_parent_user_id")
    username = name = None
    if contact is not None:
        if phone is None:
            phone = contact.get("wa_id")
        if user_id is None:
            user_id = contact.get("user_id")
        if parent_id is None:
            parent_id = contact.get("parent_user_id")
        profile = contact.get("profile")
        if type(profile) is dict:
            name = profile.get("name")
            if type(name) is not str:
                name = None
            username = profile.get("username")
    user_id = _id_or_none(user_id)
    parent_id = _id_or_none(parent_id)
    if phone is not None and not (
        type(phone) is str and 7 <= len(phone) <= 15 and phone.isascii() and phone.isdigit()
    ):
        phone, stand_in = _phone_or_id(phone)
        user_id = user_id or stand_in
    if phone is None and user_id is None:
        # What the message says of its sender is odd or missing; its contact may still tell.
        return _sender({}, contact) if message and contact is not None else None
    if username is not None:
        username = username.removeprefix("@") if type(username) is str else None
    return Sender(phone, user_id, parent_id, username or None, name or None)


def _phone_or_id(value: Any) -> tuple[str | None, str | None]:
    """Return an odd `from` as a phone number, or as the user id that came in its place."""
    if type(value) is int:
        value = str(value)
    if not is_id(value):
        return None, None
    digits = value.removeprefix("+")
    if 7 <= len(digits) <= 15 and digits.isascii() and digits.isdigit():
        return digits, None
    return None, value


def _id_or_none(value: Any) -> str | None:
    return value if value is not None and is_id(value) else None


def _bad_id(key: str, value: Any) -> str:
    if type(value) is str and value:
        return f"{key} is longer than {LONGEST_ID} bytes"
    return f"{key} is missing or not a string"


def _bad_time(value: Any) -> str:
    if value is None:
        return "timestamp is missing"
    if type(value) in {str, int}:
        return f"timestamp {str(value)[:24]!r} is no time in Unix seconds"
    return "timestamp is not Unix seconds"
