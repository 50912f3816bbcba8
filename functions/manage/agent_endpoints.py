"""/v1/agent-endpoints: agents of the tenant's own that automations ask."""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from pydantic import BaseModel

from switchboard.access import Caller, Guarded
from switchboard.automation import endpoints
from switchboard.kernel.arguments import LIMIT, Nothing, read, read_id, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.tools import Tools

M = TypeVar("M", bound=BaseModel)


def get_endpoints(tools: Tools, caller: Caller, request: Request) -> Response:
    """List endpoints, all of them."""
    read_query(Nothing, request.query)
    return reply(200, endpoints.list_endpoints(tools, caller.tenant_id))


def post_endpoint(tools: Tools, caller: Caller, request: Request) -> Response:
    """Make an endpoint; the answer shows its secret, this once."""
    new = _body(endpoints.NewAgentEndpoint, request)
    return reply(201, endpoints.create_endpoint(tools, caller.tenant_id, new))


def get_endpoint(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show an endpoint."""
    return reply(200, endpoints.show_endpoint(tools, caller.tenant_id, _id(request)))


def patch_endpoint(tools: Tools, caller: Caller, request: Request) -> Response:
    """Change an endpoint's address."""
    which, change = _id(request), _body(endpoints.AgentEndpointChange, request)
    return reply(200, endpoints.change_endpoint(tools, caller.tenant_id, which, change))


def delete_endpoint(tools: Tools, caller: Caller, request: Request) -> Response:
    """Forget an endpoint, and show it as it was."""
    which, _ = _id(request), _body(Nothing, request)
    return reply(200, endpoints.delete_endpoint(tools, caller.tenant_id, which))


def post_rotate(tools: Tools, caller: Caller, request: Request) -> Response:
    """Make a new secret, which the answer shows, this once."""
    which, _ = _id(request), _body(Nothing, request)
    return reply(200, endpoints.rotate_secret(tools, caller.tenant_id, which))


def _id(request: Request) -> UUID:
    return read_id(request.path, "this agent endpoint")


def _body(model: type[M], request: Request) -> M:
    """Read the body; none at all is an empty object, since some verbs need nothing."""
    return read(model, request.json(LIMIT) if request.body(LIMIT).strip() else {})


_ONE = "/v1/agent-endpoints/{id}"
ROUTES = {
    "GET /v1/agent-endpoints": Guarded("agents:read", get_endpoints),
    "POST /v1/agent-endpoints": Guarded("agents:write", post_endpoint),
    f"GET {_ONE}": Guarded("agents:read", get_endpoint),
    f"PATCH {_ONE}": Guarded("agents:write", patch_endpoint),
    f"DELETE {_ONE}": Guarded("agents:write", delete_endpoint),
    f"POST {_ONE}/rotate": Guarded("agents:write", post_rotate),
}
