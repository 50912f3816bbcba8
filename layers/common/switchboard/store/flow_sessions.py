"""Flow sessions: a Flow sent to a person, until it is filled in or its time is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "flow_sessions")


@dataclass(frozen=True, slots=True)
class FlowSession:
    """One session; docs/data-model.md tells each member.

    Which Flow it is stands in `flow_id`, else `flow_name`, else in the template. `response_data`
    is the newest answer, as the person sent it.
    """

    id: UUID
    account_id: UUID
    phone_number_id: str
    conversation_id: UUID | None
    contact_id: UUID
    message_id: UUID | None
    flow_id: str | None
    flow_name: str | None
    template_name: str | None
    flow_token: str
    flow_type: str
    session_data: dict[str, Any]
    response_data: Any
    responded_at: datetime | None
    status: str
    completed_at: datetime | None
    expires_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Step:
    """A session that a walk came by: it fits the filters, or it is the walk's last one."""

    session: FlowSession
    matches: bool
    place: int


def show(connection: Connection, tenant_id: UUID, session_id: UUID) -> FlowSession | None:
    """Return a session, or None."""
    row = connection.execute(_SQL["show"], {"tenant_id": tenant_id, "id": session_id}).fetchone()
    return None if row is None else FlowSession(*row)


def walk(
    connection: Connection,
    tenant_id: UUID,
    *,
    after: tuple[datetime, UUID] | None,
    walk: int,
    limit: int,
    status: str | None = None,
    contact: UUID | None = None,
    flow: str | None = None,
) -> list[Step]:
    """Return up to `limit` + 1 sessions after a position, the newest first.

    They are those of the next `walk` that fit; the one at the place `walk`, if there are as many,
    is among them whether it fits or not. A contact's are all looked at. `flow`: an id or a name.
    """
    at, last = after or ("infinity", UUID(int=0))
    parameters = {
        "tenant_id": tenant_id,
        "before": at,
        "before_id": last,
        "walk": walk,
        "limit": limit,
        "status": status,
        "contact": contact,
        "flow": flow,
    }
    rows = connection.execute(_SQL["list" if contact is None else "list_of_contact"], parameters)
    return [Step(FlowSession(*row[:-2]), *row[-2:]) for row in rows]


def find_used(
    connection: Connection, tenant_id: UUID, tokens: Mapping[str, str | None]
) -> set[str]:
    """Return those of `tokens` that have a session.

    Each is given with the idempotency key of its request: one whose key is in use is not looked at.
    """
    parameters = {"tenant_id": tenant_id, "tokens": list(tokens), "keys": list(tokens.values())}
    return {token for (token,) in connection.execute(_SQL["find_used"], parameters)}


def expire(connection: Connection, *, limit: int, now: datetime | None) -> int:
    """End up to `limit` sessions of all tenants whose time is over; return how many were seen."""
    row = connection.execute(_SQL["expire"], {"limit": limit, "now": now}).fetchone()
    assert row is not None
    return int(row[0])
