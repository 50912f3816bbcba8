"""One inbound message: its envelope, its sender, its payload.

The hot path of intake: plain checks, no models built by a validator.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from switchboard.whatsapp.storable import is_id, unfit
from switchboard.whatsapp.webhook.items import Message, Sender
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
from switchboard.whatsapp.webhook.values import (
    LONGEST_WORD,
    bad_id,
    bad_time,
    id_or_none,
    seconds,
)

_ENVELOPE = frozenset({"from", "from_user_id", "from_parent_user_id", "id", "timestamp", "type"})


def read_messages(
    messages: list[Any], contacts: Any, waba_id: str | None, phone_number_id: str
) -> Iterator[Message | str]:
    """Yield each of `messages` as the field messages reads it, or why there is none.

    For the lists of other fields that hold messages. What the database cannot hold is not looked
    for here. `contacts` is the value's list of them, of any shape.
    """
    people = People(contacts if type(contacts) is list else [], messages, suspect=True)
    for message in messages:
        if type(message) is dict:
            yield read_message(message, waba_id, phone_number_id, people)
        else:
            yield "message is not an object"


def read_message(
    item: Object, waba_id: str | None, phone_number_id: str, people: People
) -> Message | str:
    """Return the message, or why there is none."""
    message_id = item.get("id")
    if not is_id(message_id):
        return bad_id("id", message_id)
    timestamp = seconds(item.get("timestamp"))
    if timestamp is None:
        return bad_time(item.get("timestamp"))
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
        id_or_none(context.get("id")) if type(context) is dict else None,
        id_or_none(item.get("group_id")) if extra else None,
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


class People:
    """Finds the contacts[] entry of each message's sender within one value."""

    __slots__ = ("_by_id", "_contacts", "_messages", "_only")

    def __init__(self, contacts: list[Any], messages: list[Any], *, suspect: bool) -> None:
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
    user_id = id_or_none(user_id)
    parent_id = id_or_none(parent_id)
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
