"""/v1/email-templates: texts of e-mails."""

from __future__ import annotations

from switchboard.access import Caller, Guarded
from switchboard.kernel.arguments import LIMIT, Nothing, read, read_id, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.kernel.page import Paged
from switchboard.mail import templates
from switchboard.mail.templates import EmailTemplateChange, NewEmailTemplate
from switchboard.tools import Tools

_WHAT = "this e-mail template"


def get_templates(tools: Tools, caller: Caller, request: Request) -> Response:
    """List templates."""
    wanted = read_query(Paged, request.query)
    return reply(200, templates.list_templates(tools, caller.tenant_id, wanted))


def post_template(tools: Tools, caller: Caller, request: Request) -> Response:
    """Make a template."""
    new = read(NewEmailTemplate, request.json(LIMIT))
    return reply(201, templates.create_template(tools, caller.tenant_id, new))


def get_template(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show a template."""
    which = read_id(request.path, _WHAT)
    return reply(200, templates.show_template(tools, caller.tenant_id, which))


def patch_template(tools: Tools, caller: Caller, request: Request) -> Response:
    """Change a template's texts."""
    which = read_id(request.path, _WHAT)
    change = read(EmailTemplateChange, request.json(LIMIT))
    return reply(200, templates.change_template(tools, caller.tenant_id, which, change))


def delete_template(tools: Tools, caller: Caller, request: Request) -> Response:
    """Forget a template, and show it as it was."""
    which = read_id(request.path, _WHAT)
    read(Nothing, request.json(LIMIT) if request.body(LIMIT).strip() else {})
    return reply(200, templates.delete_template(tools, caller.tenant_id, which))


_ONE = "/v1/email-templates/{id}"
ROUTES = {
    "GET /v1/email-templates": Guarded("emails:read", get_templates),
    "POST /v1/email-templates": Guarded("emails:write", post_template),
    f"GET {_ONE}": Guarded("emails:read", get_template),
    f"PATCH {_ONE}": Guarded("emails:write", patch_template),
    f"DELETE {_ONE}": Guarded("emails:write", delete_template),
}
