"""/v1/templates: message templates of the tenant's business accounts, here and at Meta."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from pydantic import BaseModel

from switchboard.access import Caller, Guarded
from switchboard.accounts import template_preview, template_sync, templates
from switchboard.kernel.arguments import LIMIT, Nothing, read, read_id, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.tools import Tools

M = TypeVar("M", bound=BaseModel)


def get_templates(tools: Tools, caller: Caller, request: Request) -> Response:
    """List templates."""
    wanted = read_query(templates.TemplateFilter, request.query)
    return reply(200, templates.list_templates(tools, caller.tenant_id, wanted))


def post_template(tools: Tools, caller: Caller, request: Request) -> Response:
    """Submit a template to Meta."""
    new = _body(templates.NewTemplate, request)
    return reply(201, templates.create_template(tools, caller.tenant_id, new))


def post_sync(tools: Tools, caller: Caller, request: Request) -> Response:
    """Bring an account's templates from Meta."""
    wanted = _body(template_sync.SyncWanted, request)
    return reply(202, template_sync.sync_now(tools, caller.tenant_id, wanted))


def get_template(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show a template."""
    return reply(200, templates.show_template(tools, caller.tenant_id, _id(request)))


def post_change(tools: Tools, caller: Caller, request: Request) -> Response:
    """Change a template at Meta."""
    which, change = _id(request), _body(templates.TemplateChange, request)
    return reply(200, templates.edit_template(tools, caller.tenant_id, which, change))


def delete_template(tools: Tools, caller: Caller, request: Request) -> Response:
    """Delete a template at Meta, in its language or in all."""
    which, _ = _id(request), _body(Nothing, request)
    how = read_query(templates.Deletion, request.query)
    return reply(200, templates.delete_template(tools, caller.tenant_id, which, how))


def post_unpause(tools: Tools, caller: Caller, request: Request) -> Response:
    """End a pause at Meta."""
    which, _ = _id(request), _body(Nothing, request)
    return reply(200, templates.unpause_template(tools, caller.tenant_id, which))


def post_preview(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show what a template looks like, filled in or not."""
    which, wanted = _id(request), _body(template_preview.PreviewWanted, request)
    return reply(200, template_preview.preview_template(tools, caller.tenant_id, which, wanted))


def _id(request: Request) -> UUID:
    return read_id(request.path, "this template")


def _body(model: type[M], request: Request) -> M:
    """Read the body; none at all is an empty object, since some verbs need nothing."""
    return read(model, request.json(LIMIT) if request.body(LIMIT).strip() else {})


def _reading(run: Callable[[Tools, Caller, Request], Response]) -> Guarded:
    return Guarded("templates:read", run)


def _writing(run: Callable[[Tools, Caller, Request], Response]) -> Guarded:
    return Guarded("templates:write", run)


_ONE = "/v1/templates/{id}"
ROUTES = {
    "GET /v1/templates": _reading(get_templates),
    "POST /v1/templates": _writing(post_template),
    "POST /v1/templates/sync": _writing(post_sync),
    f"GET {_ONE}": _reading(get_template),
    f"POST {_ONE}": _writing(post_change),
    f"DELETE {_ONE}": _writing(delete_template),
    f"POST {_ONE}/unpause": _writing(post_unpause),
    f"POST {_ONE}/preview": _reading(post_preview),
}
