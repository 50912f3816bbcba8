"""The gateway's events, routes and limits are API Gateway's."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.gateway import app as gateway
from local.gateway.app import http_api
from local.gateway.events import BadAnswer, HttpRequest, build_event, read_answer
from local.gateway.routes import Routes
from local.lambdas.invocation import PayloadTooLarge, Result, Throttled
from local.template.model import RouteSpec


def _event(**changes: Any) -> dict[str, Any]:
    request: dict[str, Any] = {
        "method": "POST",
        "path": "/webhook",
        "query": "",
        "headers": (("Content-Type", "application/json"), ("User-Agent", "meta/1")),
        "body": b"",
        "source_ip": "127.0.0.1",
        "host": "127.0.0.1:8080",
    }
    return build_event(HttpRequest(**(request | changes)), "POST /webhook", {})


def test_an_event_has_the_members_of_payload_format_2() -> None:
    event = _event(query="a=1", body=b'{"x": "\xc3\xa9"}')
    context = event.pop("requestContext")
    assert event == {
        "version": "2.0",
        "routeKey": "POST /webhook",
        "rawPath": "/webhook",
        "rawQueryString": "a=1",
        "headers": {"content-type": "application/json", "user-agent": "meta/1"},
        "queryStringParameters": {"a": "1"},
        "body": '{"x": "é"}',
        "isBase64Encoded": False,
    }
    assert context["http"] == {
        "method": "POST",
        "path": "/webhook",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "meta/1",
    }
    assert {"accountId", "apiId", "domainName", "requestId", "stage", "timeEpoch"} <= set(context)


def test_what_is_absent_has_no_member() -> None:
    event = _event()
    absent = {"body", "cookies", "queryStringParameters", "pathParameters"}
    assert not absent & set(event)


def test_repeated_headers_and_parameters_are_joined_and_cookies_are_apart() -> None:
    event = _event(
        query="a=1&b=&a=2%20x",
        headers=(("X-A", "1"), ("x-a", "2"), ("Cookie", "k=v; l=w"), ("cookie", "m=x")),
    )
    assert event["headers"] == {"x-a": "1,2"}
    assert event["cookies"] == ["k=v", "l=w", "m=x"]
    assert event["queryStringParameters"] == {"a": "1,2 x", "b": ""}


@pytest.mark.parametrize(
    ("content_type", "body", "encoded"),
    [
        ("application/json", b"{}", False),
        ("application/json; charset=utf-8", b"{}", False),
        ("text/plain", b"x", False),
        ("", b"x", False),
        ("application/octet-stream", b"x", True),
        ("application/x-www-form-urlencoded", b"a=b", True),
        ("application/json", b"\xff\xfe", True),
    ],
)
def test_bodies_that_are_no_text_travel_as_base64(
    content_type: str, body: bytes, encoded: bool
) -> None:
    event = _event(body=body, headers=(("content-type", content_type),))
    assert event["isBase64Encoded"] is encoded
    raw = base64.b64decode(event["body"]) if encoded else event["body"].encode()
    assert raw == body


@given(st.binary(min_size=1), st.sampled_from(["application/json", "image/png", ""]))
def test_every_body_arrives_byte_for_byte(body: bytes, content_type: str) -> None:
    event = json.loads(json.dumps(_event(body=body, headers=(("content-type", content_type),))))
    text = event["body"]
    assert (base64.b64decode(text) if event["isBase64Encoded"] else text.encode()) == body


def test_answers_become_responses() -> None:
    full = {
        "statusCode": 201,
        "headers": {"Content-Type": "application/json", "X-N": 1},
        "cookies": ["a=b", "c=d"],
        "body": "{}",
    }
    answer = read_answer(json.dumps(full).encode())
    assert answer.status == 201
    assert answer.body == b"{}"
    assert answer.headers == (
        ("content-type", "application/json"),
        ("x-n", "1"),
        ("set-cookie", "a=b"),
        ("set-cookie", "c=d"),
    )
    binary = {"statusCode": 200, "body": base64.b64encode(b"\x00\xff").decode()}
    assert read_answer(json.dumps(binary | {"isBase64Encoded": True}).encode()).body == b"\x00\xff"
    bare = read_answer(b'{"any": "thing"}')
    assert (bare.status, bare.body) == (200, b'{"any": "thing"}')


@pytest.mark.parametrize(
    "payload",
    [
        b"not json",
        b'{"statusCode": "x"}',
        b'{"statusCode": 200, "headers": [1]}',
        b'{"statusCode": 200, "body": "???", "isBase64Encoded": true}',
    ],
)
def test_a_malformed_answer_is_refused(payload: bytes) -> None:
    with pytest.raises(BadAnswer):
        read_answer(payload)


def _routes(*keys: str) -> Routes:
    specs = []
    for key in keys:
        method, _, path = key.partition(" ")
        specs.append(RouteSpec(method if path else "ANY", path or key, key))
    return Routes(specs)


@pytest.mark.parametrize(
    ("method", "path", "expected", "parameters"),
    [
        ("GET", "/webhook", "GET /webhook", {}),
        ("GET", "/webhook/", "GET /webhook", {}),
        ("POST", "/webhook/12", "POST /webhook/{app_id}", {"app_id": "12"}),
        ("POST", "/webhook/fixed", "POST /webhook/fixed", {}),
        ("POST", "/webhook/a%2Fb", "POST /webhook/{app_id}", {"app_id": "a/b"}),
        ("DELETE", "/files/a/b", "ANY /files/{path+}", {"path": "a/b"}),
        ("PATCH", "/webhook", None, {}),
        ("POST", "/webhook/1/2", None, {}),
        ("GET", "/webhookx", None, {}),
        ("GET", "/", None, {}),
    ],
)
def test_the_most_specific_route_wins(
    method: str, path: str, expected: str | None, parameters: dict[str, str]
) -> None:
    routes = _routes(
        "ANY /files/{path+}",
        "POST /webhook/{app_id}",
        "POST /webhook/fixed",
        "GET /webhook",
        "POST /webhook",
    )
    match = routes.find(method, path)
    if expected is None:
        assert match is None
    else:
        assert match is not None
        assert match.route.function == expected
        assert match.parameters == parameters


def test_default_takes_what_nothing_else_does() -> None:
    match = _routes("$default", "GET /a").find("POST", "/anything")
    assert match is not None
    assert match.route.key == "$default"


class Backend:
    """Plays the functions: `does` is called with the event."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.result: Result | Exception = Result(b'{"statusCode": 204}')

    async def __call__(self, function: str, payload: bytes) -> Result:
        self.events.append(json.loads(payload))
        if isinstance(self.result, Exception):
            raise self.result
        if self.result.payload == b"never":
            await asyncio.sleep(60)
        return self.result


@pytest.fixture
def backend() -> Backend:
    return Backend()


class Client:
    """Speaks HTTP to the application, without a socket."""

    def __init__(self, backend: Backend) -> None:
        self._app = http_api([RouteSpec("POST", "/webhook/{app_id}", "webhook")], backend)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                return await client.request(method, path, **options)

        return asyncio.run(run())

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)


@pytest.fixture
def client(backend: Backend) -> Client:
    return Client(backend)


def test_a_request_reaches_the_function_and_its_answer_comes_back(
    backend: Backend, client: Client
) -> None:
    backend.result = Result(b'{"statusCode": 200, "headers": {"x-y": "z"}, "body": "ok"}')
    answer = client.post("/webhook/7?a=b", content=b"{}", headers={"X-Hub-Signature-256": "s"})
    assert (answer.status_code, answer.text, answer.headers["x-y"]) == (200, "ok", "z")
    (event,) = backend.events
    assert event["routeKey"] == "POST /webhook/{app_id}"
    assert event["pathParameters"] == {"app_id": "7"}
    assert event["headers"]["x-hub-signature-256"] == "s"
    assert event["body"] == "{}"


def test_an_unknown_route_is_404(backend: Backend, client: Client) -> None:
    answer = client.request("GET", "/nowhere")
    assert (answer.status_code, answer.json()) == (404, {"message": "Not Found"})
    assert backend.events == []


def test_over_ten_megabytes_is_413_and_reaches_no_function(
    backend: Backend, client: Client
) -> None:
    limit = gateway.BODY_LIMIT
    assert client.post("/webhook/1", content=b"x" * (limit + 1)).status_code == 413
    assert backend.events == []
    assert client.post("/webhook/1", content=b"x" * limit).status_code == 204


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (Result(b"{}", "Unhandled"), 500),
        (Result(b"no json"), 500),
        (Throttled("busy"), 503),
        (PayloadTooLarge("big"), 413),
    ],
)
def test_failures_are_told_as_api_gateway_tells_them(
    backend: Backend, client: Client, result: Result | Exception, status: int
) -> None:
    backend.result = result
    assert client.post("/webhook/1").status_code == status


def test_a_function_that_takes_too_long_is_503(
    backend: Backend, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "INTEGRATION_SECONDS", 0.05)
    backend.result = Result(b"never")
    assert client.post("/webhook/1").status_code == 503
