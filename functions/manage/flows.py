"""/v1/flows: WhatsApp Flows at Meta, and the public key that a number's Flows encrypt with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar
from uuid import UUID

from pydantic import BaseModel

from switchboard.access import Caller, Guarded
from switchboard.accounts import flows, public_keys
from switchboard.kernel.arguments import LIMIT, Nothing, read, read_meta_id, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.tools import Tools

M = TypeVar("M", bound=BaseModel)


def get_flows(tools: Tools, caller: Caller, request: Request) -> Response:
    """List flows as they are known here."""
    wanted = read_query(flows.FlowFilter, request.query)
    return reply(200, flows.list_flows(tools, caller.tenant_id, wanted))


def post_sync(tools: Tools, caller: Caller, request: Request) -> Response:
    """Ask Meta for all flows of a business account."""
    wanted = _body(flows.FlowSync, request)
    return reply(200, flows.sync_flows(tools, caller.tenant_id, wanted))


def post_flow(tools: Tools, caller: Caller, request: Request) -> Response:
    """Make a flow; the answer has what Meta finds wrong in its JSON."""
    new = _body(flows.NewFlow, request, flows.LIMIT)
    return reply(201, flows.create_flow(tools, caller.tenant_id, new))


def get_flow(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show a flow."""
    read_query(Nothing, request.query)
    return reply(200, flows.show_flow(tools, caller.tenant_id, _id(request)))


def change_flow(tools: Tools, caller: Caller, request: Request) -> Response:
    """Change name, categories, endpoint."""
    wanted, change = _id(request), _body(flows.FlowChange, request)
    return reply(200, flows.change_flow(tools, caller.tenant_id, wanted, change))


def post_asset(tools: Tools, caller: Caller, request: Request) -> Response:
    """Replace a draft's screens; the answer has what Meta finds wrong in them."""
    wanted, asset = _id(request), _body(flows.FlowAsset, request, flows.LIMIT)
    return reply(200, flows.upload_json(tools, caller.tenant_id, wanted, asset))


def get_preview(tools: Tools, caller: Caller, request: Request) -> Response:
    """Ask Meta where a flow can be tried in a browser."""
    read_query(Nothing, request.query)
    return reply(200, flows.preview_flow(tools, caller.tenant_id, _id(request)))


def get_public_key(tools: Tools, caller: Caller, request: Request) -> Response:
    """Ask Meta for a number's key."""
    which = read_query(public_keys.KeyOf, request.query)
    return reply(200, public_keys.show_public_key(tools, caller.tenant_id, which))


def post_public_key(tools: Tools, caller: Caller, request: Request) -> Response:
    """Set a number's key."""
    new = _body(public_keys.NewPublicKey, request)
    which = read_query(public_keys.KeyOf, request.query)
    return reply(200, public_keys.upload_public_key(tools, caller.tenant_id, which, new))


def _do(
    tools: Tools, caller: Caller, request: Request, *, verb: Callable[[Tools, UUID, str], object]
) -> Response:
    wanted, _ = _id(request), _body(Nothing, request)
    return reply(200, verb(tools, caller.tenant_id, wanted))


def _id(request: Request) -> str:
    return read_meta_id(request.path, "this flow")


def _body(model: type[M], request: Request, limit: int = LIMIT) -> M:
    """Read the body; none at all is an empty object, since some verbs need nothing."""
    return read(model, request.json(limit) if request.body(limit).strip() else {})


def _reading(run: Callable[[Tools, Caller, Request], Response]) -> Guarded:
    return Guarded("flows:read", run)


def _writing(run: Callable[[Tools, Caller, Request], Response]) -> Guarded:
    return Guarded("flows:write", run)


_ONE = "/v1/flows/{id}"
ROUTES = {
    "GET /v1/flows": _reading(get_flows),
    "POST /v1/flows": _writing(post_flow),
    "POST /v1/flows/sync": _writing(post_sync),
    "GET /v1/flows/public-key": _reading(get_public_key),
    "POST /v1/flows/public-key": _writing(post_public_key),
    f"GET {_ONE}": _reading(get_flow),
    f"POST {_ONE}": _writing(change_flow),
    f"DELETE {_ONE}": _writing(partial(_do, verb=flows.delete_flow)),
    f"POST {_ONE}/assets": _writing(post_asset),
    f"POST {_ONE}/publish": _writing(partial(_do, verb=flows.publish_flow)),
    f"POST {_ONE}/deprecate": _writing(partial(_do, verb=flows.deprecate_flow)),
    f"GET {_ONE}/preview": _reading(get_preview),
}
