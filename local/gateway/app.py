"""The HTTP API itself: request in, function called, response out, with API Gateway's limits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.gateway.events import (
    API_ID,
    BadAnswer,
    HttpRequest,
    HttpResponse,
    build_event,
    read_answer,
)
from local.gateway.routes import Routes
from local.lambdas.invocation import PayloadTooLarge, Result, Throttled
from local.template.model import RouteSpec

#: API Gateway's quotas for HTTP APIs: bytes of a body, seconds until an integration is given up.
BODY_LIMIT = 10 * 1024 * 1024
INTEGRATION_SECONDS = 30.0
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]

Invoke = Callable[[str, bytes], Awaitable[Result]]


class _TooLarge(Exception):
    """The body is over the limit."""


def http_api(routes: Iterable[RouteSpec], invoke: Invoke) -> Starlette:
    """Return the application; `invoke(function name, event)` calls the function."""
    table = Routes(routes)

    async def serve(request: Request) -> Response:
        raw_path = request.scope["raw_path"].decode("latin-1").split("?", 1)[0]
        match = table.find(request.method, raw_path)
        if match is None:
            return _refuse(404, "Not Found")
        try:
            body = await _body(request)
        except _TooLarge:
            return _refuse(413, "Request Entity Too Large")
        event = build_event(_described(request, body), match.route.key, match.parameters)
        try:
            result = await asyncio.wait_for(
                invoke(match.route.function, json.dumps(event).encode()), INTEGRATION_SECONDS
            )
        except PayloadTooLarge:
            return _refuse(413, "Request Entity Too Large")
        except (Throttled, TimeoutError):
            return _refuse(503, "Service Unavailable")
        if result.error is not None:
            return _refuse(500, "Internal Server Error")
        try:
            answer = read_answer(result.payload)
        except BadAnswer:
            return _refuse(500, "Internal Server Error")
        return _response(answer, event["requestContext"]["requestId"])

    return Starlette(routes=[Route("/{path:path}", serve, methods=_METHODS)])


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BODY_LIMIT:
            raise _TooLarge
        parts.append(chunk)
    return b"".join(parts)


def _described(request: Request, body: bytes) -> HttpRequest:
    return HttpRequest(
        method=request.method,
        path=request.scope["path"],
        query=request.scope["query_string"].decode("latin-1"),
        headers=tuple((n.decode("latin-1"), v.decode("latin-1")) for n, v in request.headers.raw),
        body=body,
        source_ip=request.client.host if request.client else "127.0.0.1",
        host=request.headers.get("host", f"{API_ID}.execute-api.localhost"),
    )


def _response(answer: HttpResponse, request_id: str) -> Response:
    response = Response(answer.body, answer.status)
    for name, value in answer.headers:
        response.headers.append(name, value)
    response.headers["apigw-requestid"] = request_id
    return response


def _refuse(status: int, message: str) -> Response:
    return Response(json.dumps({"message": message}), status, media_type="application/json")
