"""What a reaction to inbound messages reads and writes: the conversation and its messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "reactions")


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation with its number's settings; `contact_id` is None for a group."""

    contact_id: UUID | None
    account_id: UUID
    phone_number_id: str
    is_active: bool
    auto_mark_read: bool
    acknowledging_reaction: str | None
    confirm_consents: bool
    is_blocked: bool


@dataclass(frozen=True, slots=True)
class Inbound:
    """An inbound message; `content` is Meta's object of its type."""

    id: UUID
    wa_message_id: str
    message_type: str
    content: Any
    occurred_at: datetime


def find_conversation(
    connection: Connection, tenant_id: UUID, conversation_id: UUID, *, lock: bool
) -> Conversation | None:
    """Return the conversation, or None; with `lock` nobody else reacts in it until the commit."""
    if lock:
        # Before the row, as everywhere: what is said goes to the outbox, which holds it too.
        connection.execute(_SQL["hold_contacts"], {"tenant": tenant_id})
    row = connection.execute(
        _SQL["lock_conversation" if lock else "find_conversation"],
        {"tenant": tenant_id, "conversation": conversation_id},
    ).fetchone()
    return None if row is None else Conversation(*row)


def load_messages(
    connection: Connection, tenant_id: UUID, conversation_id: UUID, ids: Sequence[UUID]
) -> list[Inbound]:
    """Return those of `ids` that are inbound messages of the conversation, oldest first."""
    rows = connection.execute(
        _SQL["load_messages"],
        {"tenant": tenant_id, "conversation": conversation_id, "messages": list(ids)},
    )
    return [Inbound(*row) for row in rows]


def mark_read(
    connection: Connection,
    tenant_id: UUID,
    conversation_id: UUID,
    messages: Sequence[Inbound],
    *,
    now: datetime | None,
) -> None:
    """Record that Meta has marked the newest of `messages`, and so all before it, as read.

    `messages` are oldest first and not empty; the conversation is locked.
    """
    newest = messages[-1]
    ids = sorted(message.id for message in messages)
    connection.execute(
        _SQL["mark_messages_read"], {"tenant": tenant_id, "messages": ids, "now": now}
    )
    connection.execute(
        _SQL["recount_unread"],
        {
            "tenant": tenant_id,
            "conversation": conversation_id,
            "occurred_at": newest.occurred_at,
            "wa_message_id": newest.wa_message_id,
            "now": now,
        },
    )


def clear_unread(
    connection: Connection, tenant_id: UUID, conversation_id: UUID, *, now: datetime | None
) -> None:
    """Count nothing of the conversation as unread: whoever writes there is blocked."""
    connection.execute(
        _SQL["clear_unread"], {"tenant": tenant_id, "conversation": conversation_id, "now": now}
    )
