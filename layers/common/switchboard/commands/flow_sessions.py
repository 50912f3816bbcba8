"""flow-sessions: what was asked with Flows, and what people have answered."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from switchboard.commands._resource import Command, Resource
from switchboard.inbox import flow_sessions
from switchboard.inbox.flow_sessions import FlowSessionFilter
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.page import Page
from switchboard.store.flow_sessions import FlowSession
from switchboard.tools import Tools


class TheSession(Arguments):
    """One session."""

    session: UUID = Field(description="the session's id")


def list_sessions(tools: Tools, tenant_id: UUID, wanted: FlowSessionFilter) -> Page[FlowSession]:
    """List sessions, the newest first."""
    return flow_sessions.list_flow_sessions(tools, tenant_id, wanted)


def show_session(tools: Tools, tenant_id: UUID, which: TheSession) -> FlowSession:
    """Show a session with its answer."""
    return flow_sessions.show_flow_session(tools, tenant_id, which.session)


KIND = Resource(
    "flow_sessions",
    "what was asked with Flows, and what people have answered",
    (
        Command(
            "list",
            FlowSessionFilter,
            list_sessions,
            "--status completed",
            ("created_at", "id", "contact_id", "flow_id", "status", "responded_at"),
        ),
        Command("show", TheSession, show_session, "--session 6f1d7c52-7f7e-4f27-9d11-3a4f6d1c9b10"),
    ),
)
