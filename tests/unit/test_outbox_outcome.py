"""What each of Meta's answers means for the attempt."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from switchboard.outbox.outcome import backoff, settlement
from switchboard.outbox.ready import Ready, lasts_s
from switchboard.outbox.timing import HOLD_CAP_S, TRIES
from switchboard.outbox.wire import body
from switchboard.whatsapp.client import (
    Accepted,
    NotSent,
    Outcome,
    Rejected,
    Throttled,
    Unconfirmed,
)
from switchboard.whatsapp.errors import Action, Scope

READY = Ready(
    tenant_id=uuid.uuid4(),
    message_id=uuid.UUID("01a1f96c-39a8-72b4-995d-22de4bb8208c"),
    attempt=3,
    account_id=uuid.uuid4(),
    contact_id=uuid.uuid4(),
    phone_number_id="1",
    access_token=b"t",
    kind="reply",
    recipient="4915112345678",
    recipient_kind="phone",
    message_type="text",
    content={"body": "x"},
    context=None,
)


CODES = {Scope.PAIR: 131056, Scope.NUMBER: 130429, Scope.WABA: 80007, Scope.APP: 4}


def throttled(scope: Scope, wait: float | None = None) -> Throttled:
    return Throttled(CODES[scope], scope, wait, "slow", None, "T", 400, Action.BACKOFF)


def rejected(code: int, status: int = 400) -> Rejected:
    return Rejected(code, None, "no", None, "T", status, Action.NEVER)


def test_an_accepted_message_keeps_metas_id_and_answer() -> None:
    row = settlement(READY, Accepted("wamid.1", "4915112345678", raw={"a": 1}))
    assert row["result"] == "accepted"
    assert (row["wamid"], row["response"]) == ("wamid.1", {"a": 1})
    assert "wa_id" not in row


@pytest.mark.parametrize(
    ("recipient", "wa_id", "told"),
    [
        ("5491150001234", "541150001234", "541150001234"),
        ("525550001234", "5215550001234", None),
        ("4915112345678", None, None),
        ("4915112345678", "not a number", None),
    ],
)
def test_another_form_of_the_number_is_learned(
    recipient: str, wa_id: str | None, told: str | None
) -> None:
    row = settlement(replace(READY, recipient=recipient), Accepted("wamid.1", wa_id))
    assert row.get("wa_id") == told


def test_a_refusal_is_final() -> None:
    row = settlement(READY, Rejected(131009, 7, "bad", "the value", "T", 400, Action.FIX))
    assert (row["result"], row["code"], row["message"]) == ("failed", "131009", "bad")
    assert row["errors"][0]["details"] == "the value"
    assert (
        settlement(READY, Rejected(None, None, "x", None, None, 404, Action.FIX))["code"]
        == "http_404"
    )


def test_an_unknown_outcome_is_never_a_retry() -> None:
    row = settlement(READY, Unconfirmed("ReadTimeout"))
    assert row["result"] == "unconfirmed"
    assert "delay" not in row


def test_the_first_retry_of_what_was_not_sent_is_at_once_then_it_grows() -> None:
    assert settlement(READY, NotSent("ConnectError"))["delay"] == 0
    longest = [max(backoff(tries) for _ in range(200)) for tries in range(1, 12)]
    assert longest[0] <= 4
    assert longest[-1] <= 900
    assert longest[5] > longest[0]


@pytest.mark.parametrize("tries", [0, 1, 2, 3])
def test_a_pair_waits_four_to_the_n(tries: int) -> None:
    delay = settlement(replace(READY, tries=tries), throttled(Scope.PAIR))["delay"]
    assert 4**tries <= delay <= 4**tries + 0.5


def test_a_number_waits_as_long_as_meta_says() -> None:
    assert settlement(READY, throttled(Scope.NUMBER, 20))["delay"] >= 20


@pytest.mark.parametrize("outcome", [NotSent("x"), rejected(134101)])
def test_after_the_last_try_it_is_failed(outcome: NotSent | Throttled | Rejected) -> None:
    ready = replace(READY, attempt=1)
    assert settlement(replace(ready, tries=TRIES - 2), outcome)["result"] == "retry"
    assert settlement(replace(ready, tries=TRIES - 1), outcome)["result"] == "failed"


def test_a_limit_of_metas_fails_nobody_and_what_is_held_is_no_try() -> None:
    late = replace(READY, attempt=1, tries=TRIES + 5)
    assert settlement(late, throttled(Scope.PAIR))["result"] == "retry"
    held = settlement(late, throttled(Scope.NUMBER))
    assert (held["result"], held["keeps"]) == ("retry", True)
    assert "keeps" not in settlement(READY, throttled(Scope.PAIR))


def test_a_second_attempt_that_never_left_says_nothing_of_the_first() -> None:
    row = settlement(replace(READY, attempt=2, tries=TRIES - 1), NotSent("x"))
    assert (row["result"], row["code"]) == ("unconfirmed", "not_sent")


def test_an_unknown_error_goes_out_three_times_at_most() -> None:
    assert settlement(replace(READY, tries=1), rejected(1))["result"] == "retry"
    assert settlement(replace(READY, tries=2), rejected(1))["result"] == "failed"


@pytest.mark.parametrize("outcome", [rejected(190, 401), rejected(131042), throttled(Scope.NUMBER)])
def test_what_is_not_its_own_fault_never_fails_a_message(outcome: Rejected | Throttled) -> None:
    for tries in (0, TRIES, 1_000):
        row = settlement(replace(READY, tries=tries), outcome)
        assert row["result"] == "retry"
        # The pause says how long; when it is lifted the message goes out soon.
        assert 1 <= row["delay"] <= HOLD_CAP_S
        assert row["rest"] == row["delay"]


def test_a_dead_token_or_a_limit_rests_the_number_a_person_or_a_template_does_not() -> None:
    limits = [throttled(scope) for scope in (Scope.NUMBER, Scope.WABA, Scope.APP)]
    wide: list[Outcome] = [rejected(190, 401), *limits]
    for outcome in wide:
        assert "rest" in settlement(READY, outcome)
    for outcome in (
        throttled(Scope.PAIR),
        rejected(131026),
        rejected(132001, 404),
        rejected(132069),
    ):
        assert "rest" not in settlement(READY, outcome)


@pytest.mark.parametrize(("code", "wait"), [(132069, 3_600), (134101, 600), (2494100, 300)])
def test_what_meta_asks_to_send_later_waits_that_long(code: int, wait: float) -> None:
    row = settlement(READY, rejected(code))
    assert row["result"] == "retry"
    assert wait <= row["delay"] <= wait + 2


def test_what_would_be_too_late_fails_at_once_and_says_so() -> None:
    in_time = settlement(replace(READY, lasts_s=3_700.0), rejected(132069))
    late = settlement(replace(READY, lasts_s=3_500.0), rejected(132069))
    assert in_time["result"] == "retry"
    assert (late["result"], late["code"]) == ("failed", "132069")
    assert late["message"] == "too late to try again: no"
    assert late["errors"][0]["reason"] == "too_late"


def test_later_counts_no_tries_where_the_message_has_an_end() -> None:
    often = replace(READY, tries=TRIES + 5)
    assert settlement(replace(often, lasts_s=9e6), rejected(132069))["result"] == "retry"
    assert settlement(often, rejected(132069))["result"] == "failed"


@pytest.mark.parametrize("code", [131026, 131047, 131050, 132001, 132015, 100, 999_999])
def test_what_was_the_message_fails_it(code: int) -> None:
    assert settlement(READY, rejected(code))["result"] == "failed"


def test_a_message_lasts_until_its_own_end_or_that_of_the_window_it_answers_in() -> None:
    at = datetime(2027, 1, 1, tzinfo=UTC)
    hour, day = at + timedelta(hours=1), at + timedelta(days=1)
    assert lasts_s(at, "reply", expires_at=None, window_expires_at=day) == 86_400
    assert lasts_s(at, "reply", expires_at=hour, window_expires_at=day) == 3_600
    assert lasts_s(at, "utility", expires_at=None, window_expires_at=day) is None
    assert lasts_s(at, "marketing", expires_at=day, window_expires_at=None) == 86_400


def test_a_keyed_attempt_brings_its_answer_along() -> None:
    keyed = replace(READY, idempotency_key="k", decision=[{"verdict": "allowed"}])
    row = settlement(keyed, Accepted("wamid.1"))
    assert row["answer"] == {
        "status": 200,
        "body": {
            "id": str(READY.message_id),
            "status": "accepted",
            "wa_message_id": "wamid.1",
            "decision": {"verdict": "allowed"},
        },
    }
    assert settlement(keyed, Unconfirmed("x"))["answer"]["status"] == 202


def test_the_attempts_key_goes_out_with_it() -> None:
    sent = body(replace(READY, context="wamid.IN", extras={"recipient_identity_key_hash": "h"}))
    assert sent["biz_opaque_callback_data"] == "01a1f96c-39a8-72b4-995d-22de4bb8208c.3"
    assert sent["context"] == {"message_id": "wamid.IN"}
    assert sent["recipient_identity_key_hash"] == "h"
    assert sent["to"] == "+4915112345678"
