"""Links that lead through us: where they lead, and how often they were tapped."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "links")


@dataclass(frozen=True, slots=True)
class Link:
    """A button's address of ours (`/l/<token>`), where it leads, and its taps."""

    id: UUID
    token: str
    url: str
    label: str | None
    message_id: UUID
    account_id: UUID
    contact_id: UUID
    conversation_id: UUID | None
    tap_count: int
    first_tapped_at: datetime | None
    last_tapped_at: datetime | None
    created_at: datetime
    expires_at: datetime | None


def resolve(
    connection: Connection, token: str, *, counts: bool, now: datetime | None
) -> str | None:
    """Return where a link leads and note the tap, unless `counts` is False; None: nowhere.

    Whoever's link it is: the token is all that is known.
    """
    parameters = {"token": token, "counts": counts, "now": now}
    row = connection.execute(_SQL["resolve"], parameters).fetchone()
    return None if row is None else row[0]


def list_links(
    connection: Connection,
    tenant_id: UUID,
    *,
    conversation_id: UUID | None,
    message_id: UUID | None,
    since: datetime,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Link]:
    """Return links, of one message, of one conversation or of all, the newest first."""
    at, last = before or ("infinity", UUID(int=0))
    parameters = {
        "tenant": tenant_id,
        "conversation": conversation_id,
        "message": message_id,
        "since": since,
        "before": at,
        "before_id": last,
        "limit": limit,
    }
    if message_id is not None:
        name = "list_of_message"
    else:
        name = "list_all" if conversation_id is None else "list_of_conversation"
    return [Link(*row) for row in connection.execute(_SQL[name], parameters)]
