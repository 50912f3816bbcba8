"""The messages of a conversation and their files, as staff see them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "messages")


@dataclass(frozen=True, slots=True)
class Reaction:
    """What stands under a message: a contact's (inbound), or ours (outbound, of no contact)."""

    direction: str
    contact_id: UUID | None
    emoji: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a thread; `content` is Meta's object of its type, as edits leave it."""

    id: UUID
    wa_message_id: str | None
    wa_context_id: str | None
    conversation_id: UUID
    contact_id: UUID | None
    direction: str
    origin: str
    message_type: str
    content: Any
    metadata: dict[str, Any]
    status: str
    errors: list[Any] | None
    error_code: str | None
    error_message: str | None
    decision: list[dict[str, Any]] | None
    category: str | None
    is_forwarded: bool
    tags: list[str]
    occurred_at: datetime
    edited_at: datetime | None
    revoked_at: datetime | None
    accepted_at: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    read_at: datetime | None
    played_at: datetime | None
    failed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    media: dict[str, Any] | None
    reactions: list[Reaction] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Media:
    """The file of a message, without where it lies."""

    id: UUID
    message_id: UUID
    conversation_id: UUID
    account_id: UUID
    direction: str
    media_type: str
    wa_media_id: str | None
    mime_type: str | None
    sha256: str | None
    file_name: str | None
    caption: str | None
    size_bytes: int | None
    has_thumbnail: bool
    status: str
    error_code: str | None
    error_message: str | None
    created_at: datetime
    updated_at: datetime


def walk(
    connection: Connection,
    tenant_id: UUID,
    conversation_id: UUID,
    *,
    newest_first: bool,
    after: tuple[datetime, str | None, UUID] | None,
    limit: int,
) -> list[Message] | None:
    """Return up to `limit` + 1 messages after `after` (occurred_at, wa_message_id, id).

    None where there is no such conversation.
    """
    known = connection.execute(
        _SQL["find_conversation"], {"tenant_id": tenant_id, "id": conversation_id}
    ).fetchone()
    if known is None:
        return None
    start = "infinity" if newest_first else "-infinity"
    at, key, message_id = after or (start, None, None)
    parameters = {
        "tenant_id": tenant_id,
        "conversation_id": known[0],
        "at": at,
        "key": key,
        "id": message_id,
        "limit": limit,
    }
    name = "list_newest_first" if newest_first else "list_oldest_first"
    found = [Message(*row) for row in connection.execute(_SQL[name], parameters)]
    _add_reactions(connection, tenant_id, known[1], found)
    return found


def _add_reactions(
    connection: Connection, tenant_id: UUID, account_id: UUID, found: list[Message]
) -> None:
    """Fill in what people and we have put under these messages of one thread."""
    # What was taken back has gone from the phones with all that stood under it.
    bare = {m.wa_message_id: m for m in found if m.wa_message_id and m.revoked_at is None}
    if not bare:
        return
    times = [message.occurred_at for message in bare.values()]
    rows = connection.execute(
        _SQL["find_reactions"],
        {
            "tenant_id": tenant_id,
            "account_id": account_id,
            "conversation_id": found[0].conversation_id,
            "keys": list(bare),
            "oldest": min(times),
            "newest": max(times),
        },
    )
    for key, *reaction in rows:
        bare[key].reactions.append(Reaction(*reaction))


def find_media(connection: Connection, tenant_id: UUID, media_id: UUID) -> Media | None:
    """Return a file's record; None where there is none, or its message was taken back."""
    row = connection.execute(_SQL["find_media"], {"tenant_id": tenant_id, "id": media_id})
    found = row.fetchone()
    return None if found is None else Media(*found)
