"""/v1/emails: what went out by e-mail, and what came of it."""

from __future__ import annotations

from switchboard.access import Caller, Guarded
from switchboard.kernel.arguments import read_id, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.mail import look
from switchboard.tools import Tools


def get_emails(tools: Tools, caller: Caller, request: Request) -> Response:
    """List mails."""
    wanted = read_query(look.EmailFilter, request.query)
    return reply(200, look.list_emails(tools, caller.tenant_id, wanted))


def get_email(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show a mail with its texts, verdicts and events."""
    which = read_id(request.path, "this e-mail")
    return reply(200, look.show_email(tools, caller.tenant_id, which))


ROUTES = {
    "GET /v1/emails": Guarded("emails:read", get_emails),
    "GET /v1/emails/{id}": Guarded("emails:read", get_email),
}
