"""Meta's webhooks: the handshake and the deliveries, of the operator's app and of tenants' own."""

from __future__ import annotations

import gc
from typing import Any

from switchboard.intake.receive import receive, verify
from switchboard.kernel.http import Request, Response, answer, text
from switchboard.kernel.log import log
from switchboard.tools import tools

#: Bytes of one delivery; Meta sends up to 3 MB (Webhooks, payload size).
LIMIT = 4_000_000

# What the imports made stays, and a body of 1,000 updates is some 20,000 objects that go with their
# last reference: the collector need not look at the ones nor for the others.
gc.freeze()
gc.set_threshold(50_000)


def handler(event: dict[str, Any], context: Any) -> Response:
    """Answer one API Gateway event (payload 2.0)."""
    log.bind(request_id=getattr(context, "aws_request_id", None))
    return answer(ROUTES, event)


def _get(request: Request) -> Response:
    return text(200, verify(tools(), request.query, request.path.get("app_id")))


def _post(request: Request) -> Response:
    body = request.body(LIMIT)
    header = request.headers.get("x-hub-signature-256")
    receive(tools(), body, header, request.path.get("app_id"))
    return text(200, "")


ROUTES = {
    "GET /webhook": _get,
    "POST /webhook": _post,
    "GET /webhook/{app_id}": _get,
    "POST /webhook/{app_id}": _post,
}
