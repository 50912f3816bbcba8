"""Conversations as staff see them: lists, one, and what staff do with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "conversations")
#: After every id, for a walk from the beginning: no id of ours is all ones.
LAST_ID = UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class Conversation:
    """The thread of a number with a person (`contact`) or a group (`group_id`).

    `merged_from` is the id that was asked for where that thread went into this one.
    """

    id: UUID
    account_id: UUID
    phone_number_id: str
    contact_id: UUID | None
    contact: dict[str, Any] | None
    group_id: str | None
    subject: str | None
    description: str | None
    status: str
    assigned_user_id: UUID | None
    assigned_at: datetime | None
    unread_count: int
    message_count: int
    window_expires_at: datetime | None
    is_window_open: bool
    last_inbound_at: datetime | None
    last_message_at: datetime | None
    last_message_preview: str | None
    last_message_direction: str | None
    tags: list[str]
    priority: str
    is_pinned: bool
    archived_at: datetime | None
    closed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    merged_from: UUID | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A conversation that a walk came by: it fits the filters, or it is the walk's last one."""

    id: UUID
    last_message_at: datetime | None
    matches: bool
    place: int


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest inbound message; `is_unread` says whether anything of the thread is.

    `is_blocked`: its person is, and learns of nothing that is done here. `is_readable`: it is not
    older than the 30 days in which Meta marks a message as read.
    """

    account_id: UUID
    wa_message_id: str
    occurred_at: datetime
    is_unread: bool
    is_blocked: bool
    is_readable: bool


def walk(
    connection: Connection,
    tenant_id: UUID,
    *,
    after: tuple[datetime | None, UUID] | None,
    walk: int,
    limit: int,
    statuses: Sequence[str],
    contact_id: UUID | None = None,
    user_id: UUID | None = None,
    number: str | None = None,
    tag: str | None = None,
    unread: bool | None = None,
    archived: bool | None = None,
) -> list[Step]:
    """Return up to `limit` + 1 conversations after `after`, the newest first.

    A person's and a user's are found by their own indexes; else only the next `walk` are looked at,
    and the one at that place is among them whether it fits or not (its `place` is `walk`).
    """
    parameters = {
        "tenant_id": tenant_id,
        "before": "infinity",
        "before_id": LAST_ID,
        "empty_before": LAST_ID,
        "walk": walk,
        "limit": limit,
        "statuses": list(statuses),
        "contact_id": contact_id,
        "user_id": user_id,
        "number": number,
        "tag": tag,
        "unread": unread,
        "archived": archived,
    }
    if after is not None and after[0] is None:
        parameters |= {"before": "-infinity", "empty_before": after[1]}
    elif after is not None:
        parameters |= {"before": after[0], "before_id": after[1]}
    name = "walk_inbox" if user_id is None else "walk_user"
    if contact_id is not None:
        name = "walk_contact"
    return [Step(*row) for row in connection.execute(_SQL[name], parameters)]


def find_root(connection: Connection, tenant_id: UUID, conversation_id: UUID) -> UUID:
    """Return the conversation that an id stands for now: its own, or the one it went into."""
    row = connection.execute(
        _SQL["find_root"], {"tenant_id": tenant_id, "id": conversation_id}
    ).fetchone()
    assert row is not None
    root: UUID = row[0]
    return root


def load(
    connection: Connection, tenant_id: UUID, ids: Sequence[UUID], *, now: datetime | None
) -> list[Conversation]:
    """Return these conversations, the newest first; `now` decides whether windows are open."""
    parameters = {"tenant_id": tenant_id, "ids": list(ids), "now": now}
    return [Conversation(*row) for row in connection.execute(_SQL["load"], parameters)]


def set_status(
    connection: Connection,
    tenant_id: UUID,
    conversation_id: UUID,
    status: str,
    *,
    allowed: Sequence[str],
    now: datetime | None,
) -> None:
    """Set the status where it is one of `allowed`; else nothing changes."""
    parameters = {
        "tenant_id": tenant_id,
        "id": conversation_id,
        "status": status,
        "allowed": list(allowed),
        "now": now,
    }
    connection.execute(_SQL["set_status"], parameters)


def find_user(connection: Connection, tenant_id: UUID, wanted: str) -> UUID | None:
    """Return the active member of staff with this id or e-mail."""
    row = connection.execute(
        _SQL["find_user"], {"tenant_id": tenant_id, "wanted": wanted}
    ).fetchone()
    return None if row is None else row[0]


def assign(
    connection: Connection,
    tenant_id: UUID,
    conversation_id: UUID,
    user_id: UUID | None,
    *,
    now: datetime | None,
) -> None:
    """Give the conversation to a member of staff, or to nobody."""
    parameters = {
        "tenant_id": tenant_id,
        "id": conversation_id,
        "user_id": user_id,
        "now": now,
    }
    connection.execute(_SQL["assign"], parameters)


def tag(
    connection: Connection,
    tenant_id: UUID,
    conversation_id: UUID,
    *,
    add: Sequence[str],
    remove: Sequence[str],
    now: datetime | None,
) -> int | None:
    """Add and remove tags, and return how many there are then; None for an unknown id."""
    parameters = {
        "tenant_id": tenant_id,
        "id": conversation_id,
        "add": list(add),
        "remove": list(remove),
        "now": now,
    }
    row = connection.execute(_SQL["tag"], parameters).fetchone()
    return None if row is None else row[0]


def archive(
    connection: Connection,
    tenant_id: UUID,
    conversation_id: UUID,
    *,
    archived: bool,
    now: datetime | None,
) -> None:
    """Put the conversation away, or take it out again; twice changes nothing."""
    parameters = {
        "tenant_id": tenant_id,
        "id": conversation_id,
        "archived": archived,
        "now": now,
    }
    connection.execute(_SQL["archive"], parameters)


def change(
    connection: Connection,
    tenant_id: UUID,
    conversation_id: UUID,
    *,
    priority: str | None,
    is_pinned: bool | None,
    now: datetime | None,
) -> None:
    """Change what is not None."""
    parameters = {
        "tenant_id": tenant_id,
        "id": conversation_id,
        "priority": priority,
        "is_pinned": is_pinned,
        "now": now,
    }
    connection.execute(_SQL["change"], parameters)


def find_newest_inbound(
    connection: Connection, tenant_id: UUID, conversation_id: UUID, *, now: datetime | None
) -> Newest | None:
    """Return the newest inbound message of a conversation, which marks all before it as read."""
    parameters = {"tenant_id": tenant_id, "id": conversation_id, "now": now}
    row = connection.execute(_SQL["find_newest_inbound"], parameters).fetchone()
    return None if row is None else Newest(*row)


def mark_read(
    connection: Connection,
    tenant_id: UUID,
    conversation_id: UUID,
    newest: Newest,
    *,
    limit: int,
    now: datetime | None,
) -> int:
    """Record up to `limit` messages as read, up to `newest`, and count anew what is unread.

    Returns how many were recorded: `limit` where there may be more.
    """
    parameters: dict[str, Any] = {
        "tenant_id": tenant_id,
        "id": conversation_id,
        "occurred_at": newest.occurred_at,
        "wa_message_id": newest.wa_message_id,
        "limit": limit,
        "now": now,
    }
    # Before the messages, as everywhere.
    connection.execute(_SQL["lock"], parameters)
    ids = sorted(row[0] for row in connection.execute(_SQL["find_unread"], parameters))
    if ids:
        connection.execute(_SQL["mark_read"], {**parameters, "ids": ids})
    connection.execute(_SQL["recount_unread"], parameters)
    return len(ids)
