"""/v1/flow-sessions: what was asked with Flows, and what people have answered."""

from __future__ import annotations

from switchboard.access import Caller, Guarded
from switchboard.inbox import flow_sessions
from switchboard.kernel.arguments import read_id, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.tools import Tools


def get_flow_sessions(tools: Tools, caller: Caller, request: Request) -> Response:
    """List sessions."""
    wanted = read_query(flow_sessions.FlowSessionFilter, request.query)
    return reply(200, flow_sessions.list_flow_sessions(tools, caller.tenant_id, wanted))


def get_flow_session(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show a session."""
    wanted = read_id(request.path, "this flow session")
    return reply(200, flow_sessions.show_flow_session(tools, caller.tenant_id, wanted))


ROUTES = {
    "GET /v1/flow-sessions": Guarded("flows:read", get_flow_sessions),
    "GET /v1/flow-sessions/{id}": Guarded("flows:read", get_flow_session),
}
