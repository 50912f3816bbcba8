"""An emoji under a message of the other side."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from switchboard.whatsapp.outbound._base import CheckedMessage, Part, Word


class Reaction(Part):
    """Cloud API, Messages, reaction object: an empty `emoji` takes the reaction back.

    The target may be 30 days old at most and no reaction itself; only Meta can tell. One emoji may
    be many code points, so the limit is generous.
    """

    message_id: Word
    emoji: Annotated[str, Field(max_length=64)]


class ReactionMessage(CheckedMessage):
    """`{"type": "reaction", "reaction": {"message_id", "emoji"}}`; it has no context of its own."""

    type: Literal["reaction"] = "reaction"
    reaction: Reaction


MODEL = ReactionMessage
