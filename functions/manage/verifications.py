"""/v1/verifications: codes that prove a number."""

from __future__ import annotations

from switchboard.access import Caller, Guarded
from switchboard.inbox import verifications
from switchboard.kernel.arguments import LIMIT, read, read_id
from switchboard.kernel.http import Request, Response, reply
from switchboard.tools import Tools


def post_verification(tools: Tools, caller: Caller, request: Request) -> Response:
    """Send a code."""
    new = read(verifications.NewVerification, request.json(LIMIT))
    answer = verifications.start_verification(tools, caller.tenant_id, new)
    kind = "application/problem+json" if answer.status >= 400 else "application/json"
    return reply(answer.status, answer.body, {"content-type": kind, **answer.headers})


def post_check(tools: Tools, caller: Caller, request: Request) -> Response:
    """Try a code."""
    wanted = read_id(request.path, "this verification")
    given = read(verifications.CodeGiven, request.json(LIMIT))
    return reply(200, verifications.check_code(tools, caller.tenant_id, wanted, given))


ROUTES = {
    "POST /v1/verifications": Guarded("verifications:write", post_verification),
    "POST /v1/verifications/{id}/check": Guarded("verifications:write", post_check),
}
