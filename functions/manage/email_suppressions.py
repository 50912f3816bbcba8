"""/v1/email-suppressions: addresses that get nothing more."""

from __future__ import annotations

from switchboard.access import Caller, Guarded
from switchboard.kernel.arguments import LIMIT, read, read_id, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.kernel.page import Paged
from switchboard.mail import look
from switchboard.tools import Tools


def get_suppressions(tools: Tools, caller: Caller, request: Request) -> Response:
    """List the addresses."""
    wanted = read_query(Paged, request.query)
    return reply(200, look.list_suppressions(tools, caller.tenant_id, wanted))


def delete_suppression(tools: Tools, caller: Caller, request: Request) -> Response:
    """Let an address get mails again."""
    which = read_id(request.path, "this suppression")
    why = read(look.Lift, request.json(LIMIT))
    return reply(200, look.lift_suppression(tools, caller.tenant_id, which, why))


ROUTES = {
    "GET /v1/email-suppressions": Guarded("emails:read", get_suppressions),
    "DELETE /v1/email-suppressions/{id}": Guarded("emails:write", delete_suppression),
}
