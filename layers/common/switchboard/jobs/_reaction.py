"""What each reaction to new messages is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from switchboard.kernel.db import Connection
from switchboard.outbox import Outgoing
from switchboard.store.reactions import Conversation, Inbound
from switchboard.tools import Tools


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to react to: messages of one conversation, oldest first, under its lock."""

    tenant_id: UUID
    conversation_id: UUID
    conversation: Conversation
    messages: Sequence[Inbound]


#: Returns what to say, in order; may read and write in the finishing transaction, never wait.
Reaction = Callable[[Tools, Connection, Seen], Sequence[Outgoing]]
