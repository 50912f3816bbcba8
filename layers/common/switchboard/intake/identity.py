"""By what a sender is known, and what a system message says has changed of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from switchboard.kernel.phones import digits, national_variant
from switchboard.whatsapp.storable import is_id
from switchboard.whatsapp.webhook import Message, Sender, System
from switchboard.whatsapp.webhook.payloads.system import (
    IDENTITY_CHANGED,
    NUMBER_CHANGED,
    USER_ID_CHANGED,
)

#: Kinds of identifiers that find a contact, the leading one first.
KINDS = ("phone", "user_id", "parent_user_id")

Identifier = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """One identifier that a person has now, in Meta's word (`source`) and at Meta's time.

    `named` is the identifier by which Meta named the person, `previous` what they had before, where
    it is known. Kind `identity` is the security code, which finds nobody.
    """

    source: str
    kind: str
    named: str
    previous: str
    current: str
    at: int

    @property
    def reason(self) -> str | None:
        """Return why contacts that this brings together are merged; None: it brings none."""
        if self.kind == "identity":
            return None
        return "number_change" if self.source in NUMBER_CHANGED else "user_id_change"

    def document(self) -> dict[str, Any]:
        """Return its part of the document, as messaging.note_changes reads it."""
        return {
            "s": self.source,
            "k": self.kind,
            "n": self.named,
            "o": self.previous,
            "v": self.current,
            "t": self.at,
        }


def identifiers_of(sender: Sender) -> list[Identifier]:
    """Return the sender's identifiers; a username is none: it changes freely."""
    found = []
    if sender.wa_id:
        found.append(("phone", national_variant(sender.wa_id)))
    if sender.user_id:
        found.append(("user_id", sender.user_id))
    if sender.parent_user_id:
        found.append(("parent_user_id", sender.parent_user_id))
    return found


def changes_of(message: Message, identifiers: list[Identifier]) -> list[Change]:
    """Return what a system message says its sender has now; `identifiers` are the sender's.

    Cloud API, messages of type system: `from` is the old number, `wa_id` the new one; a changed
    number regenerates the user id, which comes in a message of its own.
    """
    payload = message.payload
    if not isinstance(payload, System) or payload.kind is None:
        return []
    told: list[tuple[str, str | None]] = []
    if payload.kind in NUMBER_CHANGED or payload.kind == USER_ID_CHANGED:
        number = digits(payload.wa_id) if payload.wa_id is not None else None
        told = [
            ("phone", number and national_variant(number)),
            ("user_id", payload.user_id),
            ("parent_user_id", payload.parent_user_id),
        ]
    elif payload.kind in IDENTITY_CHANGED:
        told = [("identity", payload.identity or _hash(message.extra.get("identity")))]
    own = dict(identifiers)
    return [
        Change(payload.kind, kind, identifiers[0][1], own.get(kind, ""), value, message.timestamp)
        for kind, value in told
        if value and value != own.get(kind)
    ]


def _hash(identity: object) -> str | None:
    value = identity.get("hash") if isinstance(identity, dict) else None
    return value if is_id(value) else None
