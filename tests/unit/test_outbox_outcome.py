"""What each of Meta's answers means for the attempt."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest

from switchboard.outbox.outcome import backoff, settlement
from switchboard.outbox.ready import Ready
from switchboard.outbox.timing import TRIES
from switchboard.outbox.wire import body
from switchboard.whatsapp.client import Accepted, NotSent, Rejected, Throttled, Unconfirmed
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


def throttled(scope: Scope, wait: float | None = None) -> Throttled:
    return Throttled(130429, scope, wait, "slow", None, "T", 400, Action.BACKOFF)


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
    assert settlement(READY, throttled(Scope.NUMBER, 60))["delay"] >= 60


@pytest.mark.parametrize("outcome", [NotSent("x"), throttled(Scope.NUMBER)])
def test_after_the_last_try_it_is_failed(outcome: NotSent | Throttled) -> None:
    assert settlement(replace(READY, tries=TRIES - 2), outcome)["result"] == "retry"
    assert settlement(replace(READY, tries=TRIES - 1), outcome)["result"] == "failed"


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
