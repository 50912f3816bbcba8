"""What every outbound message shares: the models are Meta's request body, nothing is renamed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

Word = Annotated[str, Field(min_length=1, max_length=1_000)]
"""An id or a hash: Meta states no limit, an index does."""


class Part(BaseModel):
    """An object of Meta's request. Meta refuses keys it does not know (code 100), and so do we."""

    # defer_build: a cold start builds the validators of the types it meets, no others.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class Context(Part):
    """The message that is answered (Cloud API, Messages, context object)."""

    message_id: Word


class CheckedMessage(Part):
    """A message of a type known here (Cloud API, Messages): `type` and the object of that name.

    `recipient_identity_key_hash` makes Meta deliver only while the recipient's identity stays.
    """

    warnings: ClassVar[tuple[str, ...]] = ()

    type: str
    recipient_identity_key_hash: Word | None = None

    def body(self) -> dict[str, Any]:
        """Return Meta's keys of the message; what was not given is not sent."""
        return self.model_dump(exclude_none=True)


class Reply(CheckedMessage):
    """A message that may answer another one."""

    context: Context | None = None


@dataclass(frozen=True, slots=True)
class DoubtfulMessage:
    """A message that one of Meta's sources allows and another, or a way of counting, does not."""

    message: CheckedMessage
    warnings: tuple[str, ...]

    @property
    def type(self) -> str:
        """Meta's type."""
        return self.message.type

    def body(self) -> dict[str, Any]:
        """Return Meta's keys of the message."""
        return self.message.body()
