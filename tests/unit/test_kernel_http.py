"""API Gateway's payload 2.0 in and out."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from switchboard.kernel.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    ProblemError,
    RefusedByMeta,
    TooLarge,
    Unauthorized,
    Unavailable,
    Unprocessable,
)
from switchboard.kernel.http import Request, Response, answer, problem, reply, text


def event(**more: Any) -> dict[str, Any]:
    return {"version": "2.0", "routeKey": "POST /v1/messages", **more}


def test_header_names_are_read_in_any_case() -> None:
    request = Request(event(headers={"X-Hub-Signature-256": "a", "authorization": "b"}))
    assert request.headers == {"x-hub-signature-256": "a", "authorization": "b"}


def test_what_the_event_lacks_is_empty() -> None:
    request = Request({"headers": None, "queryStringParameters": None, "pathParameters": None})
    assert (request.route, request.headers, request.query, request.path) == ("", {}, {}, {})
    assert request.body(10) == b""


def test_the_routes_that_iam_signs_are_the_same_routes() -> None:
    assert Request(event(routeKey="POST /iam/v1/messages")).route == "POST /v1/messages"
    assert Request(event(routeKey="GET /v1/messages/{id}")).route == "GET /v1/messages/{id}"


@pytest.mark.parametrize("raw", [b"", b"{}", bytes(range(256)), "¿Qué? 🙂".encode()])
def test_a_base64_body_is_the_bytes_that_were_sent(raw: bytes) -> None:
    request = Request(event(body=base64.b64encode(raw).decode(), isBase64Encoded=True))
    assert request.body(1000) == raw


def test_a_plain_body_is_utf_8() -> None:
    assert Request(event(body="¿Qué? 🙂")).body(100) == "¿Qué? 🙂".encode()


def test_half_a_surrogate_pair_in_a_body_is_bytes_like_any() -> None:
    """The signature will not match; it must not be an error of ours."""
    assert Request(event(body="\ud83d")).body(100)


@pytest.mark.parametrize("body", ["!!!", "YQ", "Y Q==", "ä"])
def test_base64_that_is_none_is_a_bad_request(body: str) -> None:
    with pytest.raises(BadRequest):
        Request(event(body=body, isBase64Encoded=True)).body(100)


@pytest.mark.parametrize("encoded", [True, False])
@pytest.mark.parametrize(("size", "fits"), [(100, True), (101, False), (10_000, False)])
def test_a_body_may_be_as_large_as_the_limit(encoded: bool, size: int, fits: bool) -> None:
    body = base64.b64encode(b"x" * size).decode() if encoded else "x" * size
    request = Request(event(body=body, isBase64Encoded=encoded))
    if fits:
        assert len(request.body(100)) == size
    else:
        with pytest.raises(TooLarge):
            request.body(100)


def test_the_limit_counts_bytes_not_characters() -> None:
    with pytest.raises(TooLarge):
        Request(event(body="🙂" * 26)).body(100)


def test_a_json_body_is_parsed_and_anything_else_refused() -> None:
    assert Request(event(body='{"a": 1}')).json(100) == {"a": 1}
    for body in ("", "{", "nan", '{"a": 1}x'):
        with pytest.raises(BadRequest, match="not JSON"):
            Request(event(body=body)).json(100)


def test_a_reply_is_json() -> None:
    assert reply(202, {"id": "x"}, {"location": "/x"}) == {
        "statusCode": 202,
        "headers": {"content-type": "application/json", "location": "/x"},
        "body": '{"id":"x"}',
    }
    assert text(200, "challenge")["headers"] == {"content-type": "text/plain"}


def test_a_problem_names_the_field_and_carries_what_belongs_to_it() -> None:
    error = Unprocessable(
        "too long", field="message.text.body", extra={"limit": 4096}, headers={"retry-after": "1"}
    )
    answered = problem(error)
    assert answered["statusCode"] == 422
    assert answered["headers"] == {
        "content-type": "application/problem+json",
        "retry-after": "1",
    }
    assert json.loads(answered["body"]) == {
        "type": "about:blank",
        "title": "Unprocessable content",
        "status": 422,
        "detail": "too long",
        "field": "message.text.body",
        "limit": 4096,
    }


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadRequest("x"), 400),
        (Unauthorized("x"), 401),
        (Forbidden("x"), 403),
        (NotFound("x"), 404),
        (Conflict("x"), 409),
        (TooLarge("x"), 413),
        (Unprocessable("x"), 422),
        (RefusedByMeta("x"), 502),
        (Unavailable("x"), 503),
    ],
)
def test_every_problem_has_its_status(error: ProblemError, status: int) -> None:
    def run(_request: Request) -> Response:
        raise error

    answered = answer({"POST /v1/messages": run}, event())
    assert answered["statusCode"] == json.loads(answered["body"])["status"] == status


def test_an_unknown_route_is_not_found() -> None:
    assert answer({}, event())["statusCode"] == 404


def test_an_error_of_ours_is_500_without_its_text(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    def run(_request: Request) -> Response:
        raise RuntimeError("the password is hunter2")

    answered = answer({"POST /v1/messages": run}, event())
    assert answered["statusCode"] == 500
    assert "hunter2" not in answered["body"]
    assert b"RuntimeError" in capfdbinary.readouterr().out


def test_a_good_answer_passes_through() -> None:
    expected = reply(200, {})
    assert answer({"POST /v1/messages": lambda _: expected}, event()) is expected
