"""What WhatsApp itself says in a chat: a changed number, a changed user id, a new security code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from switchboard.whatsapp.storable import is_id
from switchboard.whatsapp.webhook.payloads._read import Object, optional_text

#: Meta's words for a changed number; the second is the old one.
NUMBER_CHANGED = frozenset({"user_changed_number", "customer_changed_number"})
USER_ID_CHANGED = "user_changed_user_id"
#: Meta's words for a new security code; the second is an old one.
IDENTITY_CHANGED = frozenset({"customer_identity_changed", "user_identity_changed"})


@dataclass(frozen=True, slots=True)
class System:
    """A system message about its sender (Webhooks, messages, system).

    `kind` is Meta's word: user_changed_number, user_changed_user_id, customer_identity_changed, or
    one that nothing here knows; None where there is none. What the sender has now: `wa_id` as sent
    (old payloads call it new_wa_id), `user_id`, `parent_user_id`, `identity` (the hash of the
    security code); each None where it is missing or no id.
    """

    WORDS: ClassVar = ("system",)

    kind: str | None
    wa_id: str | None
    user_id: str | None
    parent_user_id: str | None
    identity: str | None

    @classmethod
    def read(cls, word: str, content: Object) -> System:  # noqa: ARG003 - one signature for all
        """Read `system: {body?, type?, wa_id?, user_id?, parent_user_id?, identity?}`."""
        return cls(
            optional_text(content, "type"),
            _id(content, "wa_id") or _id(content, "new_wa_id"),
            _id(content, "user_id"),
            _id(content, "parent_user_id"),
            _id(content, "identity"),
        )


def _id(content: Object, key: str) -> str | None:
    value = content.get(key)
    return value if is_id(value) else None
