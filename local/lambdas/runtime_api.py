"""Lambda's Runtime API (2018-06-01), which awslambdaric talks to: next, response, error.

Plain ASGI, for it carries two requests per call. Which worker speaks is known by the port.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from local.lambdas.invocation import SYNCHRONOUS_LIMIT, Invocation, Result, failure
from local.lambdas.worker import Worker

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_BASE = "/2018-06-01/runtime/"


class RuntimeApi:
    """The ASGI application for all workers' ports."""

    def __init__(self, workers: Iterable[Worker]) -> None:
        self._workers = {worker.port: worker for worker in workers}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of a runtime client."""
        worker = self._workers[scope["server"][1]]
        parts = str(scope["path"]).removeprefix(_BASE).split("/")
        match (scope["method"], *parts):
            case ("GET", "invocation", "next"):
                await _next(worker, send)
            case ("POST", "invocation", request_id, "response"):
                body = await _body(receive)
                result = Result(body)
                if len(body) > SYNCHRONOUS_LIMIT:
                    result = failure(
                        "Function.ResponseSizeTooLarge",
                        f"Response payload size exceeded {SYNCHRONOUS_LIMIT} bytes.",
                    )
                await _accept(send, known=worker.answer(request_id, result))
            case ("POST", "invocation", request_id, "error"):
                result = Result(await _body(receive), "Unhandled")
                await _accept(send, known=worker.answer(request_id, result))
            case ("POST", "init", "error"):
                worker.fail_init(Result(await _body(receive), "Unhandled"))
                await _accept(send, known=True)
            case _:
                await _respond(send, 404, {}, b'{"errorMessage":"no such operation"}')


async def _next(worker: Worker, send: Send) -> None:
    try:
        invocation = await worker.next()
    except asyncio.CancelledError:
        return  # the process that asked is dead
    await _respond(send, 200, _headers(worker, invocation), invocation.payload)


def _headers(worker: Worker, invocation: Invocation) -> dict[str, str]:
    deadline = int((time.time() + worker.spec.timeout_s) * 1000)
    headers = {
        "content-type": "application/json",
        "lambda-runtime-aws-request-id": invocation.id,
        "lambda-runtime-deadline-ms": str(deadline),
        "lambda-runtime-invoked-function-arn": worker.spec.arn,
        "lambda-runtime-trace-id": invocation.trace_id,
    }
    if invocation.client_context is not None:
        headers["lambda-runtime-client-context"] = invocation.client_context
    return headers


async def _accept(send: Send, *, known: bool) -> None:
    if known:
        await _respond(send, 202, {}, b'{"status":"OK"}')
    else:
        await _respond(send, 400, {}, b'{"errorType":"InvalidRequestID"}')


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _respond(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    headers["content-length"] = str(len(body))
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})
