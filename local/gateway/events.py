"""HTTP request → payload-2.0 event, and a handler's answer → HTTP response.

Formats: API Gateway developer guide, "Create AWS Lambda proxy integrations for HTTP APIs".
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from local.template.model import ACCOUNT

#: Content types whose bodies travel as text; API Gateway sends all others as base64.
_TEXT = ("application/json", "application/javascript", "application/xml")
API_ID = "local"


class BadAnswer(Exception):
    """A handler's answer that API Gateway could not turn into a response."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as the gateway got it: raw query, header pairs in order, whole body."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    source_ip: str
    host: str


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What goes back to the caller; `headers` are pairs, since Set-Cookie may repeat."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def build_event(
    request: HttpRequest, route_key: str, path_parameters: dict[str, str]
) -> dict[str, Any]:
    """Return the payload-2.0 event of `request` on that route."""
    headers, cookies = _join_headers(request.headers)
    now = time.time()
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": request.path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": API_ID,
            "domainName": request.host,
            "domainPrefix": request.host.split(".", 1)[0],
            "http": {
                "method": request.method,
                "path": request.path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.source_ip,
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": uuid.uuid4().hex[:16],
            "routeKey": route_key,
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "timeEpoch": int(now * 1000),
        },
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = cookies
    if request.query:
        event["queryStringParameters"] = _join_query(request.query)
    if path_parameters:
        event["pathParameters"] = path_parameters
    if request.body:
        text = _text(request.body, headers.get("content-type", ""))
        event["isBase64Encoded"] = text is None
        event["body"] = base64.b64encode(request.body).decode() if text is None else text
    return event


def read_answer(payload: bytes) -> HttpResponse:
    """Turn the handler's JSON into a response; raises BadAnswer.

    Without a `statusCode` the whole value is the body of a 200 of type application/json.
    """
    try:
        answer = json.loads(payload) if payload else None
    except ValueError as error:
        raise BadAnswer("the handler's answer is not JSON") from error
    if not isinstance(answer, dict) or "statusCode" not in answer:
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return HttpResponse(200, (("content-type", "application/json"),), text.encode())
    try:
        status = int(answer["statusCode"])
        headers = {str(k).lower(): str(v) for k, v in (answer.get("headers") or {}).items()}
        body = answer.get("body")
        text = "" if body is None else body if isinstance(body, str) else json.dumps(body)
        raw = base64.b64decode(text, validate=True) if answer.get("isBase64Encoded") else None
        cookies = [("set-cookie", str(cookie)) for cookie in answer.get("cookies") or []]
    except (TypeError, ValueError, AttributeError) as error:
        raise BadAnswer(f"the handler's answer is malformed: {error}") from error
    headers.setdefault("content-type", "text/plain;charset=utf-8")
    headers.pop("content-length", None)
    pairs = (*headers.items(), *cookies)
    return HttpResponse(status, pairs, text.encode() if raw is None else raw)


def _join_headers(pairs: tuple[tuple[str, str], ...]) -> tuple[dict[str, str], list[str]]:
    """Return headers by lower-case name, repeated ones joined by commas; cookies apart."""
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in pairs:
        key = name.lower()
        if key == "cookie":
            cookies += [cookie.strip() for cookie in value.split(";") if cookie.strip()]
        elif key in headers:
            headers[key] += f",{value}"
        else:
            headers[key] = value
    return headers, cookies


def _join_query(query: str) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _text(body: bytes, content_type: str) -> str | None:
    """Return the body as text, or None when it must travel as base64."""
    kind = content_type.split(";", 1)[0].strip().lower()
    if kind and not kind.startswith("text/") and kind not in _TEXT:
        return None
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return None
