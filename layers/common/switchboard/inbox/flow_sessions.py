"""Flow sessions: what was asked with Flows, and what people have answered."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

from switchboard.kernel.db import Connection
from switchboard.kernel.errors import NotFound
from switchboard.kernel.page import (
    WALK,
    Page,
    Paged,
    as_id,
    as_time,
    read_cursor,
    write_cursor,
)
from switchboard.store import flow_sessions as store
from switchboard.store.flow_sessions import FlowSession
from switchboard.tools import Tools
from switchboard.transact import transact


class FlowSessionFilter(Paged):
    """Which sessions: those that fit everything given."""

    status: Literal["pending", "in_progress", "completed", "expired", "failed"] | None = Field(
        None, description="pending, in_progress, completed, expired or failed"
    )
    contact: UUID | None = Field(None, description="of this contact")
    flow: str | None = Field(None, max_length=200, description="of this Flow: its id, or its name")


def list_flow_sessions(
    tools: Tools, tenant_id: UUID, wanted: FlowSessionFilter
) -> Page[FlowSession]:
    """Return sessions, the newest first."""

    def read(connection: Connection) -> Page[FlowSession]:
        position = read_cursor("flow_sessions", wanted, 2)
        steps = store.walk(
            connection,
            tenant_id,
            after=(as_time(position[0]), as_id(position[1])) if position else None,
            # Only what stands above the walk makes it longer than a page.
            walk=WALK if wanted.status or wanted.flow else wanted.limit + 1,
            limit=wanted.limit,
            status=wanted.status,
            contact=wanted.contact,
            flow=wanted.flow,
        )
        fitting = [step.session for step in steps if step.matches]
        shown = fitting[: wanted.limit]
        if len(fitting) > len(shown):
            last = shown[-1]
        elif steps and steps[-1].place == WALK:
            last = steps[-1].session
        else:
            return Page(shown, None)
        return Page(shown, write_cursor("flow_sessions", wanted, last.created_at, last.id))

    return transact(tools, tenant_id, read)


def show_flow_session(tools: Tools, tenant_id: UUID, session_id: UUID) -> FlowSession:
    """Return a session; raises NotFound."""
    found = transact(
        tools, tenant_id, lambda connection: store.show(connection, tenant_id, session_id)
    )
    if found is None:
        raise NotFound("this flow session is not known")
    return found
