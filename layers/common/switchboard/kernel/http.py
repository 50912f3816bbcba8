"""API Gateway payload 2.0 in and out: the only place that knows HTTP statuses.

API Gateway has matched the route already (`routeKey`), so a handler is a table from route to
function and needs no router.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from switchboard.kernel.errors import (
    BadRequest,
    Forbidden,
    NotFound,
    ProblemError,
    TooLarge,
    Unauthorized,
)
from switchboard.kernel.log import log

Response = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """One HTTP request as API Gateway's HTTP API hands it over (payload format 2.0)."""

    event: dict[str, Any]

    @property
    def route(self) -> str:
        """The matched route, e.g. `POST /v1/messages`; the conditional IAM routes are the same."""
        return str(self.event.get("routeKey", "")).replace(" /iam/", " /")

    @property
    def path(self) -> dict[str, str]:
        """The path parameters."""
        return self.event.get("pathParameters") or {}

    @property
    def query(self) -> dict[str, str]:
        """The query parameters; of a repeated one, the values joined by commas."""
        return self.event.get("queryStringParameters") or {}

    @cached_property
    def headers(self) -> dict[str, str]:
        """The headers, names in lower case."""
        return {str(k).lower(): str(v) for k, v in (self.event.get("headers") or {}).items()}

    def body(self, limit: int) -> bytes:
        """Return the raw body, decoded from base64 where API Gateway encoded it.

        Raises TooLarge over `limit` bytes, BadRequest for base64 that is none.
        """
        text = self.event.get("body") or ""
        if len(text) > limit * 4 // 3 + 4:
            raise TooLarge(f"the body is over {limit} bytes")
        if self.event.get("isBase64Encoded"):
            try:
                raw = base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                raise BadRequest("the body is not valid base64") from None
        else:
            raw = text.encode("utf-8", "surrogatepass")
        if len(raw) > limit:
            raise TooLarge(f"the body is over {limit} bytes")
        return raw

    def json(self, limit: int) -> Any:
        """Return the parsed body; raises BadRequest when it is not JSON, TooLarge over `limit`."""
        try:
            return orjson.loads(self.body(limit))
        except orjson.JSONDecodeError as error:
            raise BadRequest(f"the body is not JSON: {error}") from None


def reply(status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
    """Return a payload-2.0 answer with `body` as JSON."""
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", **(headers or {})},
        "body": orjson.dumps(body, default=str).decode(),
    }


def text(status: int, body: str) -> Response:
    """Return a payload-2.0 answer in plain text."""
    return {"statusCode": status, "headers": {"content-type": "text/plain"}, "body": body}


def problem(error: ProblemError) -> Response:
    """Return `error` as RFC 9457 problem details, with the field named."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
    }
    if error.field is not None:
        document["field"] = error.field
    document.update(error.extra)
    return {
        "statusCode": error.status,
        "headers": {"content-type": "application/problem+json", **error.headers},
        "body": orjson.dumps(document, default=str).decode(),
    }


def answer(routes: Mapping[str, Callable[[Request], Response]], event: dict[str, Any]) -> Response:
    """Run the route's function; errors that a caller can be told become problem details.

    Anything else is logged and answered 500 without its text.
    """
    request = Request(event)
    try:
        run = routes.get(request.route)
        if run is None:
            raise NotFound("there is no such route")
        return run(request)
    except (Unauthorized, Forbidden) as error:
        log.warning("http.refused", route=request.route, status=error.status, why=error.detail)
        return problem(error)
    except ProblemError as error:
        log.info("http.problem", route=request.route, status=error.status, why=error.detail)
        return problem(error)
    except Exception as error:  # noqa: BLE001 - the last line of defence, logged
        log.error("http.failed", route=request.route, error=error)
        return problem(ProblemError("something went wrong here; it is logged"))
