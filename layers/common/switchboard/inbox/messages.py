"""The messages of a conversation, both directions, as they are stored."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from switchboard.kernel.errors import NotFound
from switchboard.kernel.page import Page, Paged, as_id, as_time, read_cursor, write_cursor
from switchboard.store import messages as store
from switchboard.store.messages import Message
from switchboard.tools import Tools
from switchboard.transact import transact

_TIMES = ("accepted_at", "sent_at", "delivered_at", "read_at", "played_at", "failed_at")


class ThreadFilter(Paged):
    """Which way through a conversation."""

    order: Literal["newest_first", "oldest_first"] = Field(
        "newest_first", description="newest_first or oldest_first"
    )


def list_messages(
    tools: Tools, tenant_id: UUID, conversation_id: UUID, wanted: ThreadFilter
) -> Page[dict[str, Any]]:
    """Return messages by (occurred_at, wa_message_id); raises NotFound.

    `decision` is the policy's latest verdict, `timestamps` the times that are known, `media` the
    file's id and state, `reactions` what stands under it now. Reactions, edits and what people sent
    else are messages, too, as Meta sent them. What was taken back (`revoked_at`) has no content, no
    file and no reactions.
    """
    name = f"messages of {conversation_id}"
    position = read_cursor(name, wanted, 3)
    after = None
    if position is not None:
        after = (as_time(position[0]), position[1], as_id(position[2]))
    rows = transact(
        tools,
        tenant_id,
        lambda connection: store.walk(
            connection,
            tenant_id,
            conversation_id,
            newest_first=wanted.order == "newest_first",
            after=after,
            limit=wanted.limit,
        ),
    )
    if rows is None:
        raise NotFound("this conversation is not known")
    cursor = None
    if len(rows) > wanted.limit:
        rows = rows[: wanted.limit]
        last = rows[-1]
        cursor = write_cursor(name, wanted, last.occurred_at, last.wa_message_id, last.id)
    return Page([_as_document(row) for row in rows], cursor)


def _as_document(message: Message) -> dict[str, Any]:
    document = asdict(message)
    decisions = document.pop("decision") or []
    document["decision"] = decisions[-1] if decisions else None
    document["errors"] = document["errors"] or []
    # What the outbox keeps for itself is nobody's metadata.
    document["metadata"] = {
        name: value for name, value in message.metadata.items() if not name.startswith("$")
    }
    times = {name: document.pop(name) for name in _TIMES}
    document["timestamps"] = {name: time for name, time in times.items() if time is not None}
    return document
