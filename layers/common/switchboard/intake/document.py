"""Turns a tenant's readable items into the document that `messaging.take` writes from.

Only what the statement needs to decide or to store goes in; the shape is told in sql/0007.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any
from uuid import UUID

import orjson

from switchboard.intake.effects import EFFECTS, Effect
from switchboard.intake.identity import KINDS, Change, Identifier, changes_of, identifiers_of
from switchboard.whatsapp.webhook import (
    Edit,
    Event,
    Media,
    Message,
    Payload,
    Reaction,
    Revoke,
    Sender,
    Status,
    Unsupported,
    context_of,
)
from switchboard.whatsapp.webhook.preview import preview

#: Types that are about a message or a chat and no message themselves: they add nothing to read, and
#: bring back no thread that was resolved, closed or archived.
_UNCOUNTED = frozenset({"reaction", "system", "edit", "revoke", "request_welcome"})
#: Types that do not open the 24-hour window (Cloud API, customer service windows).
_WINDOWLESS = frozenset({"system", "edit", "revoke"})
#: Types that nothing reacts to.
_SILENT = frozenset({"system", "edit", "revoke", "unsupported", "unknown"})
#: What is done to a message is stored as an answer to it.
_CHANGES = (Reaction, Edit, Revoke)
#: Payload -> the effects that look at it, found when the first of its class comes.
_EFFECTS: dict[type[Payload], tuple[Effect, ...]] = {}


def build(
    items: Sequence[tuple[Message | Status | Event, UUID | None]], new_id: Callable[[], UUID]
) -> str:
    """Return the JSON document of `items`, each with the account (number) it came to.

    Only an event may have none: it is its WABA's.
    """
    people = _People()
    messages = []
    statuses = []
    events = []
    named = []
    recipients = []
    for item, account in items:
        if isinstance(item, Message):
            people.add(item)
            messages.append(_message(item, account, new_id))
            if isinstance(item.payload, Edit | Revoke):
                named.append({"a": account, "w": item.payload.message_id})
        elif isinstance(item, Status):
            statuses.append(_status(item, account))
            if item.recipient is not None:
                recipients += _recipient(len(statuses), statuses[-1], item.recipient)
        else:
            events.append(_event(item, account))
    persons, identifiers, changes, order = people.finish()
    for message, person in zip(messages, order, strict=True):
        message["p"] = person
    document = {"p": persons, "i": identifiers, "m": messages, "s": statuses}
    if changes:
        document["x"] = changes
    if events:
        document["e"] = events
    if named:
        document["w"] = named
    if recipients:
        document["q"] = recipients
    return orjson.dumps(document).decode()


def _message(message: Message, account: UUID | None, new_id: Callable[[], UUID]) -> dict[str, Any]:
    kind = message.type
    payload = message.payload
    document: dict[str, Any] = {
        "k": new_id(),
        "a": account,
        "w": message.id,
        "t": message.timestamp,
        "ty": kind,
        "c": message.content,
        "pv": preview(message),
        "n": kind not in _UNCOUNTED,
        "o": kind not in _WINDOWLESS and message.group_id is None,
        "r": kind not in _SILENT
        and message.group_id is None
        and not isinstance(payload, Unsupported),
    }
    context = payload.message_id if isinstance(payload, _CHANGES) else message.context_id
    if context is not None:
        document["cx"] = context
    if message.group_id is not None:
        document["g"] = message.group_id
    if message.extra:
        document["x"] = message.extra
        said = context_of(message.extra)
        if said is not None and said.forwarded:
            document["f"] = True
    if isinstance(payload, Media):
        document["md"] = {
            "type": kind,
            "id": payload.id,
            "mime_type": payload.mime_type,
            "sha256": payload.sha256,
            "file_name": payload.filename,
            "caption": payload.caption,
        }
    effects = {
        effect.name: detail
        for effect in _effects_of(payload)
        if (detail := effect.of(message)) is not None
    }
    if effects:
        document["fx"] = effects
    return document


def _effects_of(payload: Payload) -> tuple[Effect, ...]:
    kind = type(payload)
    found = _EFFECTS.get(kind)
    if found is None:
        found = _EFFECTS[kind] = tuple(
            effect for effect in EFFECTS if effect.payloads is None or kind in effect.payloads
        )
    return found


def _event(event: Event, account: UUID | None) -> dict[str, Any]:
    return {"k": event.kind, "a": account, "b": event.waba_id, "t": event.at, "d": event.detail}


def _status(status: Status, account: UUID | None) -> dict[str, Any]:
    document: dict[str, Any] = {
        "a": account,
        "w": status.id,
        "s": status.status,
        "pt": status.participant,
        "t": status.timestamp,
        "d": status.raw,
    }
    if status.callback_data is not None and (ours := message_of(status.callback_data)) is not None:
        document["cb"] = ours
    return document


def _recipient(number: int, status: dict[str, Any], recipient: Sender) -> list[dict[str, Any]]:
    """Return by what ids a status names whom its message went to."""
    where = {key: status[key] for key in ("a", "w", "cb") if key in status} | {"n": number}
    return [where | {"k": kind, "v": value} for kind, value in identifiers_of(recipient)]


def message_of(callback_data: str) -> str | None:
    """Return the message id of an attempt's key `<message id>.<n>`; None for any other shape."""
    message_id, dot, attempt = callback_data.partition(".")
    if len(message_id) != 36 or not dot or not (attempt.isascii() and attempt.isdigit()):
        return None
    try:
        # UUID reads many spellings; ours is the one with four hyphens in lower case.
        return message_id if str(UUID(message_id)) == message_id else None
    except ValueError:
        return None


class _People:
    """The persons of one document: messages that share an identifier are of one person.

    A person's profile values are its newest by (time, sha256 of the value).
    """

    def __init__(self) -> None:
        self._senders: list[int] = []
        self._parent: list[int] = []
        self._of: dict[Identifier, int] = {}
        self._identifiers: list[dict[Identifier, None]] = []
        self._profiles: list[dict[str, tuple[int, str]]] = []
        self._changes: list[tuple[int, Change]] = []

    def add(self, message: Message) -> None:
        """Take up the sender of the next message, and what it says of their identifiers."""
        sender = message.sender
        identifiers = identifiers_of(sender)
        changes = changes_of(message, identifiers)
        if changes:
            identifiers += [(c.kind, c.current) for c in changes if c.kind in KINDS]
        person = None
        for identifier in identifiers:
            known = self._of.get(identifier)
            if known is not None:
                known = self._root(known)
                person = known if person is None else self._join(person, known)
        if person is None:
            person = len(self._parent)
            self._parent.append(person)
            self._identifiers.append(dict.fromkeys(identifiers))
            self._profiles.append({})
        else:
            self._identifiers[person].update(dict.fromkeys(identifiers))
        for identifier in identifiers:
            self._of[identifier] = person
        self._note(person, "n", sender.profile_name, message.timestamp)
        self._note(person, "u", sender.username, message.timestamp)
        self._senders.append(person)
        self._changes += [(person, change) for change in changes]

    def finish(
        self,
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]], list[int]]:
        """Return the persons, their identifiers, changes of these, and each message's person."""
        roots = [person for person, parent in enumerate(self._parent) if person == parent]
        place = {person: index for index, person in enumerate(roots)}
        persons: list[dict[str, Any]] = []
        identifiers = []
        for person in roots:
            document: dict[str, Any] = {}
            for key, (time, value) in self._profiles[person].items():
                document[key] = value
                document[key + "t"] = time
            mine = []
            for kind, value in self._identifiers[person]:
                if kind == "phone":
                    # Of several the smallest is shown, until a change tells which is the newest.
                    document["ph"] = min(value, document.get("ph", value))
                mine.append({"p": len(persons), "r": KINDS.index(kind), "k": kind, "v": value})
            if len(mine) > 1:
                # The leading identifier of a person comes first.
                mine.sort(key=itemgetter("r"))
            identifiers += mine
            persons.append(document)
        changes = []
        for person, change in self._changes:
            index = place[self._root(person)]
            changes.append({"p": index, **change.document()})
            if change.reason is not None and "why" not in persons[index]:
                persons[index] |= {"why": change.reason, "wt": change.at}
        return (
            persons,
            identifiers,
            changes,
            [place[self._root(person)] for person in self._senders],
        )

    def _note(self, person: int, key: str, value: str | None, time: int) -> None:
        if not value:
            return
        known = self._profiles[person].get(key)
        if (
            known is None
            or known[0] < time
            or (known[0] == time and _sha256(known[1]) < _sha256(value))
        ):
            self._profiles[person][key] = (time, value)

    def _root(self, person: int) -> int:
        while self._parent[person] != person:
            person = self._parent[person]
        return person

    def _join(self, one: int, other: int) -> int:
        """Make one person of two roots, and return the first of them."""
        person, other = min(one, other), max(one, other)
        if person != other:
            self._parent[other] = person
            self._identifiers[person].update(self._identifiers[other])
            for key, (time, value) in self._profiles[other].items():
                self._note(person, key, value, time)
        return person


def _sha256(value: str) -> bytes:
    return hashlib.sha256(value.encode()).digest()
