"""GET /webhook: Meta's challenge comes back for the right token, and for nothing else."""

from __future__ import annotations

import hmac
from typing import Any

import pytest

from tests.deliveries import SECRET, TOKEN, Environment, MetaSecret, Stopwatch, get_event

#: Nothing in this file asks the database: a connection would be refused.
NOWHERE = "postgresql://app@127.0.0.1:1/none"
CHALLENGE = "1158201444"


def ask(environment: Environment, **query: str) -> dict[str, Any]:
    return environment.ask(get_event({f"hub.{key}": value for key, value in query.items()}))


def test_the_right_token_gets_the_challenge_as_it_was_sent() -> None:
    answer = ask(Environment(NOWHERE), mode="subscribe", verify_token=TOKEN, challenge=CHALLENGE)

    assert (answer["statusCode"], answer["body"]) == (200, CHALLENGE)
    assert answer["headers"]["content-type"] == "text/plain"


@pytest.mark.parametrize(
    "query",
    [
        {"mode": "subscribe", "challenge": CHALLENGE},
        {"mode": "subscribe", "verify_token": "", "challenge": CHALLENGE},
        {"mode": "subscribe", "verify_token": "wrong", "challenge": CHALLENGE},
        {"mode": "subscribe", "verify_token": TOKEN[:-1], "challenge": CHALLENGE},
        {"mode": "subscribe", "verify_token": TOKEN + " ", "challenge": CHALLENGE},
        {"mode": "subscribe", "verify_token": TOKEN.upper(), "challenge": CHALLENGE},
        {"mode": "subscribe", "verify_token": "ключ", "challenge": CHALLENGE},
        {"mode": "subscribe", "verify_token": "\ud800", "challenge": CHALLENGE},
        {"mode": "subscribe", "verify_token": SECRET, "challenge": CHALLENGE},
        {"mode": "unsubscribe", "verify_token": TOKEN, "challenge": CHALLENGE},
        {"mode": "", "verify_token": TOKEN, "challenge": CHALLENGE},
        {"verify_token": TOKEN, "challenge": CHALLENGE},
        {"mode": "subscribe", "verify_token": TOKEN},
        {},
    ],
    ids=str,
)
def test_any_other_request_is_forbidden(query: dict[str, str]) -> None:
    answer = ask(Environment(NOWHERE), **query)

    assert answer["statusCode"] == 403
    assert CHALLENGE not in answer["body"]


def test_a_request_without_any_query_is_forbidden() -> None:
    assert Environment(NOWHERE).ask(get_event(None))["statusCode"] == 403


def test_the_previous_token_still_counts() -> None:
    meta = MetaSecret({"verify_token": "new", "verify_token_previous": TOKEN})
    environment = Environment(NOWHERE, meta=meta)

    for token in ("new", TOKEN):
        answer = ask(environment, mode="subscribe", verify_token=token, challenge=CHALLENGE)
        assert answer["body"] == CHALLENGE


@pytest.mark.parametrize("value", [{}, {"verify_token": ""}, {"verify_token": None}], ids=str)
def test_without_a_configured_token_nobody_is_let_in(value: dict[str, Any]) -> None:
    environment = Environment(NOWHERE, meta=MetaSecret(value))

    for token in ("", "None", TOKEN):
        answer = ask(environment, mode="subscribe", verify_token=token, challenge=CHALLENGE)
        assert answer["statusCode"] == 403


def test_a_token_set_a_moment_ago_is_seen_and_wrong_ones_cost_one_read_in_ten_seconds() -> None:
    meta, stopwatch = MetaSecret({"verify_token": "old"}), Stopwatch()
    environment = Environment(NOWHERE, meta=meta, stopwatch=stopwatch)
    assert ask(environment, mode="subscribe", verify_token="?", challenge="c")["statusCode"] == 403
    assert meta.fresh_reads == 1
    meta.value = {"verify_token": "new"}

    stopwatch.seconds += 9.9
    for _ in range(20):
        answer = ask(environment, mode="subscribe", verify_token="new", challenge="c")
        assert answer["statusCode"] == 403
    assert meta.fresh_reads == 1

    stopwatch.seconds += 0.2
    answer = ask(environment, mode="subscribe", verify_token="new", challenge="c")
    assert (answer["statusCode"], answer["body"]) == (200, "c")
    assert meta.fresh_reads == 2


def test_every_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(given: bytes, token: bytes) -> bool:
        compared.append((given, token))
        return given == token

    monkeypatch.setattr(hmac, "compare_digest", compare)
    meta = MetaSecret({"verify_token": TOKEN, "verify_token_previous": "old"})
    answer = ask(
        Environment(NOWHERE, meta=meta), mode="subscribe", verify_token=TOKEN, challenge="c"
    )

    assert answer["statusCode"] == 200
    # The second is compared although the first was equal.
    assert compared == [(TOKEN.encode(), TOKEN.encode()), (TOKEN.encode(), b"old")]


def test_tokens_do_not_get_into_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    ask(Environment(NOWHERE), mode="subscribe", verify_token="a-guess", challenge="c")

    logged = capfd.readouterr().out
    assert "http.refused" in logged
    assert "a-guess" not in logged
    assert TOKEN not in logged
