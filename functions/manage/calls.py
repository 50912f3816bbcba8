"""/v1/calls: the log of calls, and making, answering and ending one."""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from pydantic import BaseModel

from switchboard.access import Caller, Guarded
from switchboard.accounts import calls, outgoing_calls
from switchboard.kernel.arguments import LIMIT, Nothing, read, read_id, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.tools import Tools

#: Bytes of a body with a session description: line ends and quotes double in JSON.
SESSION_LIMIT = 3 * LIMIT
M = TypeVar("M", bound=BaseModel)


def get_calls(tools: Tools, caller: Caller, request: Request) -> Response:
    """List calls, the newest first."""
    wanted = read_query(calls.CallFilter, request.query)
    return reply(200, calls.list_calls(tools, caller.tenant_id, wanted))


def get_call(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show a call, with the other side's session while it can still be taken."""
    return reply(200, calls.show_call(tools, caller.tenant_id, _id(request)))


def get_permission(tools: Tools, caller: Caller, request: Request) -> Response:
    """Ask Meta whether a number may call a person."""
    wanted = read_query(outgoing_calls.PermissionWanted, request.query)
    return reply(200, outgoing_calls.show_permission(tools, caller.tenant_id, wanted))


def post_call(tools: Tools, caller: Caller, request: Request) -> Response:
    """Call a person; 202 where nobody knows whether Meta took it."""
    new = read(outgoing_calls.NewCall, request.json(SESSION_LIMIT))
    call = outgoing_calls.start_call(tools, caller.tenant_id, new)
    return reply(202 if call.status == "unconfirmed" else 201, call)


def post_pre_accept(tools: Tools, caller: Caller, request: Request) -> Response:
    """Set the media of a person's call up before it is accepted."""
    call_id, how = _id(request), _body(calls.Taking, request, SESSION_LIMIT)
    return reply(200, calls.pre_accept_call(tools, caller.tenant_id, call_id, how))


def post_accept(tools: Tools, caller: Caller, request: Request) -> Response:
    """Take a person's call."""
    call_id, how = _id(request), _body(calls.Taking, request, SESSION_LIMIT)
    return reply(200, calls.accept_call(tools, caller.tenant_id, call_id, how))


def post_reject(tools: Tools, caller: Caller, request: Request) -> Response:
    """Refuse a person's call."""
    call_id, _ = _id(request), _body(Nothing, request)
    return reply(200, calls.reject_call(tools, caller.tenant_id, call_id))


def post_terminate(tools: Tools, caller: Caller, request: Request) -> Response:
    """End a call."""
    call_id, _ = _id(request), _body(Nothing, request)
    return reply(200, calls.terminate_call(tools, caller.tenant_id, call_id))


def _id(request: Request) -> UUID:
    return read_id(request.path, "this call")


def _body(model: type[M], request: Request, limit: int = LIMIT) -> M:
    """Read the body; none at all is an empty object, since some verbs need nothing."""
    return read(model, request.json(limit) if request.body(limit).strip() else {})


_ONE = "/v1/calls/{id}"
ROUTES = {
    "GET /v1/calls": Guarded("calls:read", get_calls),
    "GET /v1/calls/permission": Guarded("calls:read", get_permission),
    f"GET {_ONE}": Guarded("calls:read", get_call),
    "POST /v1/calls": Guarded("calls:write", post_call),
    f"POST {_ONE}/pre-accept": Guarded("calls:write", post_pre_accept),
    f"POST {_ONE}/accept": Guarded("calls:write", post_accept),
    f"POST {_ONE}/reject": Guarded("calls:write", post_reject),
    f"POST {_ONE}/terminate": Guarded("calls:write", post_terminate),
}
