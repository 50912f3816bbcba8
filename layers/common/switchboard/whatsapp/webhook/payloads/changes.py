"""What a person does to a message of theirs later on: another wording, or taking it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from switchboard.whatsapp.storable import is_id
from switchboard.whatsapp.webhook.payloads._read import Object, Odd, text


@dataclass(frozen=True, slots=True)
class Edit:
    """The message `message_id` has another content now (Webhooks, messages, edit).

    `type` is Meta's word for the new content, `content` Meta's object of that name.
    """

    WORDS: ClassVar = ("edit",)

    message_id: str
    type: str
    content: Object

    @classmethod
    def read(cls, word: str, content: Object) -> Edit:  # noqa: ARG003 - one signature for all
        """Read `edit: {original_message_id, message: {type, <type>: {…}}}`."""
        message = content.get("message")
        if type(message) is not dict:
            raise Odd("message is missing or not an object")
        kind = text(message, "type")
        new = message.get(kind)
        if type(new) is not dict:
            raise Odd("the object named by the new type is missing")
        return cls(_original(content), kind, new)


@dataclass(frozen=True, slots=True)
class Revoke:
    """The message `message_id` was deleted for everyone (Webhooks, messages, revoke)."""

    WORDS: ClassVar = ("revoke",)

    message_id: str

    @classmethod
    def read(cls, word: str, content: Object) -> Revoke:  # noqa: ARG003 - one signature for all
        """Read `revoke: {original_message_id}`."""
        return cls(_original(content))


def _original(content: Object) -> str:
    message_id = text(content, "original_message_id")
    if not is_id(message_id):
        raise Odd("original_message_id is empty or too long")
    return message_id
