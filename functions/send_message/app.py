"""POST /v1/messages, one or a batch, GET /v1/messages/{id}, and direct invocation by services.

`POST /v1/messages?dry_run=true` decides exactly as a send and does nothing else: 200 with
{"status": "allowed" | "denied" | "deferred", "decision": …}, no id, since nothing is stored, sent
or reserved and no Idempotency-Key is taken. A request that a send answers with a problem before it
stores anything (a bad field, an unknown number) is the same problem here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from switchboard import outbox
from switchboard.access import Caller, identify
from switchboard.kernel.errors import BadRequest, NotFound, ProblemError, Unprocessable
from switchboard.kernel.http import Request, Response, answer, reply
from switchboard.kernel.log import log
from switchboard.outbox.answers import Answer, of_problem
from switchboard.outbox.request import read
from switchboard.tools import tools

#: Bytes of one request: Meta's longest message is far below, metadata of the caller's included.
LIMIT = 262_144
#: Messages of one batch or direct invocation (design 6), and the bytes of a batch's body: Lambda
#: takes six million, base64 included.
MOST = 1000
BATCH_LIMIT = 4_194_304


def post_message(request: Request) -> Response:
    """Send one message for the key's tenant, or only decide it (`dry_run=true`)."""
    made = tools()
    caller = identify(made, request.headers)
    caller.require("messages:send")
    run = outbox.rehearse if _is_dry(request) else outbox.send
    item = read(
        request.json(LIMIT),
        key=request.headers.get("idempotency-key"),
        public_url=made.settings.public_url,
    )
    return _response(run(made, caller.tenant_id, item, scopes=caller.scopes))


def post_batch(request: Request) -> Response:
    """Decide and store up to 1,000 messages, send what fits in 10 s; process_jobs goes on.

    202 with an answer per message, in order: the document of POST /v1/messages with its HTTP status
    as `status_code`. One that cannot be stored costs itself only. Each may have its own
    `idempotency_key`; a header for all of them is refused, since parts of a batch may be repeated.
    """
    made = tools()
    caller = identify(made, request.headers)
    caller.require("messages:send")
    if "idempotency-key" in request.headers:
        raise BadRequest(
            "a batch has an idempotency_key per message and no Idempotency-Key header",
            field="idempotency_key",
        )
    body = request.json(BATCH_LIMIT)
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    unknown = sorted(set(body) - {"messages"})
    if unknown:
        raise Unprocessable(f"{unknown[0]}: is unknown to a batch", field=unknown[0])
    return reply(202, _send_batch(caller, body.get("messages")))


def get_message(request: Request) -> Response:
    """Show what became of a message."""
    made = tools()
    caller = identify(made, request.headers)
    caller.require("messages:read", "messages:send")
    return reply(200, outbox.find(made, caller.tenant_id, _id(request.path.get("id", ""))))


ROUTES: dict[str, Callable[[Request], Response]] = {
    "POST /v1/messages": post_message,
    "POST /v1/messages/batch": post_batch,
    "GET /v1/messages/{id}": get_message,
}


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Lambda's entry: an HTTP API event, or a direct invocation, which IAM guards."""
    if not isinstance(event, dict):
        # A direct invocation may bring any JSON.
        return _outcome(of_problem(BadRequest("the event must be a JSON object")))
    request_id = getattr(context, "aws_request_id", None)
    if "routeKey" in event:
        headers = event.get("headers") or {}
        log.bind(
            function_request_id=request_id,
            correlation_id=headers.get("x-correlation-id", request_id),
        )
        return answer(ROUTES, event)
    log.bind(function_request_id=request_id, correlation_id=event.get("correlation_id", request_id))
    try:
        return _invoked(event)
    except ProblemError as error:
        return _outcome(of_problem(error))


def _invoked(event: dict[str, Any]) -> dict[str, Any]:
    """Run {"tenant_id", …one message…} or {"tenant_id", "messages": […]}.

    Each answer is the HTTP route's document with the HTTP status as `status_code`.
    """
    body = {name: value for name, value in event.items() if name != "correlation_id"}
    caller = Caller(_tenant(body.pop("tenant_id", None)))
    made = tools()
    if "messages" not in body:
        item = read(body, public_url=made.settings.public_url)
        return _outcome(outbox.send(made, caller.tenant_id, item))
    return _send_batch(caller, body["messages"])


def _send_batch(caller: Caller, messages: Any) -> dict[str, Any]:
    if not isinstance(messages, list) or not 1 <= len(messages) <= MOST:
        raise BadRequest(f"messages must be a list of 1 to {MOST}", field="messages")
    made = tools()
    public_url = made.settings.public_url
    answers: list[Answer | None] = []
    items = []
    for message in messages:
        try:
            items.append(read(message, public_url=public_url))
        except ProblemError as error:
            answers.append(of_problem(error))
        else:
            answers.append(None)
    sent = iter(
        outbox.send_many(made, caller.tenant_id, items, scopes=caller.scopes) if items else ()
    )
    return {"messages": [_outcome(known or next(sent)) for known in answers]}


def _is_dry(request: Request) -> bool:
    # Anything else must not send what was meant to be tried: refused rather than ignored.
    value = request.query.get("dry_run", "false")
    if value not in {"true", "false"}:
        raise BadRequest("dry_run must be true or false", field="dry_run")
    return value == "true"


def _outcome(answer: Answer) -> dict[str, Any]:
    return {"status_code": answer.status, **answer.body}


def _response(answer: Answer) -> Response:
    kind = "application/problem+json" if answer.status >= 400 else "application/json"
    return reply(answer.status, answer.body, {"content-type": kind, **answer.headers})


def _tenant(value: Any) -> UUID:
    try:
        return UUID(str(value))
    except ValueError:
        raise BadRequest("tenant_id must be a UUID", field="tenant_id") from None


def _id(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise NotFound("this message is not known") from None
