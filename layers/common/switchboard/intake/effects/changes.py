"""What is done to messages: edits, taking them back, reactions and their removal.

Each is kept under Meta's id of the message it names, which may come later or never (sql: what holds
is worked out from all of them). The document names that message as the one it answers.
"""

from __future__ import annotations

from typing import Any

from switchboard.intake.effects._effect import Effect
from switchboard.whatsapp.webhook import Edit, Message, Reaction, Revoke


def _of(message: Message) -> dict[str, Any] | None:
    match message.payload:
        case Edit(type=kind, content=content):
            return {"k": "edit", "x": {"type": kind, "content": content}}
        case Revoke():
            return {"k": "revoke"}
        case Reaction(emoji=emoji):
            return {"k": "reaction", "x": {"emoji": emoji}}
        case _:
            return None


KIND = Effect(
    name="changes",
    of=_of,
    payloads=(
        Edit,
        Revoke,
        Reaction,
    ),
)
