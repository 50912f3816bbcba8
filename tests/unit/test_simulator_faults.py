"""The switches that make the simulated Meta misbehave."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter

import httpx
import pytest

from tests.simulator_run import FIRST, SECRET, Simulator, wait_until


def code_of(answer: httpx.Response) -> int:
    code: int = answer.json()["error"]["code"]
    return code


def test_an_error_before_acceptance_leaves_the_phone_untouched(meta: Simulator) -> None:
    meta.faults(graph_fault="server_error")
    answer = meta.send()
    assert (answer.status_code, code_of(answer)) == (500, 131000)
    assert meta.shown("ana") == []


def test_the_same_error_after_acceptance_still_reaches_the_phone(meta: Simulator) -> None:
    meta.faults(graph_fault="server_error_after")
    answer = meta.send(biz_opaque_callback_data="attempt.1")
    assert (answer.status_code, code_of(answer)) == (500, 131000)
    meta.flush()
    (message,) = meta.shown("ana")
    assert message["state"] == "delivered"
    assert {s["biz_opaque_callback_data"] for s in meta.backend.statuses()} == {"attempt.1"}
    (logged,) = meta.http.get("/simulator/requests").json()["requests"]
    assert logged["accepted"] == message["id"]


def test_a_timeout_after_acceptance_never_answers_but_delivers(meta: Simulator) -> None:
    meta.faults(graph_fault="timeout_after", graph_fault_times=1)
    meta.http.timeout = httpx.Timeout(0.3)
    with pytest.raises(httpx.ReadTimeout):
        meta.send()
    meta.http.timeout = httpx.Timeout(5)
    wait_until(lambda: [m["state"] for m in meta.shown("ana")] == ["delivered"])
    (logged,) = meta.http.get("/simulator/requests").json()["requests"]
    assert logged["status"] is None
    assert logged["response"] == "never answered"
    assert meta.send().status_code == 200


def test_a_gateways_page_is_not_json(meta: Simulator) -> None:
    meta.faults(graph_fault="html_502")
    answer = meta.send()
    assert answer.status_code == 502
    assert answer.text.startswith("<html>")
    assert meta.shown("ana") == []


@pytest.mark.parametrize(
    ("switches", "status", "code"),
    [
        ({"graph_fault": "throttled"}, 400, 130429),
        ({"graph_fault": "throttled_pair"}, 400, 131056),
        ({"graph_fault": "error", "graph_error_code": 190}, 401, 190),
        ({"graph_fault": "error", "graph_error_code": 131057}, 500, 131057),
    ],
)
def test_a_refusal_can_be_ordered(
    meta: Simulator, switches: dict[str, object], status: int, code: int
) -> None:
    meta.faults(**switches)
    answer = meta.send()
    assert (answer.status_code, code_of(answer)) == (status, code)


def test_a_fault_switches_itself_off_after_its_times(meta: Simulator) -> None:
    meta.faults(graph_fault="server_error", graph_fault_times=2)
    assert [meta.send().status_code for _ in range(3)] == [500, 500, 200]
    assert meta.http.get("/simulator/faults").json()["graph_fault"] == "none"


def test_marking_as_read_is_never_disturbed(meta: Simulator) -> None:
    asked = meta.play("ana", text="hi")
    meta.faults(graph_fault="server_error", graph_fault_times=1)
    body = {"status": "read", "message_id": asked["id"]}
    assert meta.send(body=body).json() == {"success": True}
    assert meta.send().status_code == 500


def test_an_ordered_failure_comes_by_status(meta: Simulator) -> None:
    meta.faults(failed_code=131026)
    wamid = meta.sent()
    meta.flush()
    (failed,) = meta.backend.statuses(wamid)
    assert failed["status"] == "failed"
    assert failed["errors"][0]["title"] == "Message undeliverable"
    assert meta.shown("ana")[0]["state"] == "failed"


def test_lost_statuses_never_arrive_though_the_phone_has_the_message(meta: Simulator) -> None:
    meta.faults(lost_statuses=["sent"])
    wamid = meta.sent()
    meta.flush()
    assert meta.backend.words(wamid) == ["delivered"]
    assert meta.shown("ana")[0]["state"] == "delivered"


def test_duplicates_are_identical_and_counted(meta: Simulator) -> None:
    meta.faults(duplicate=3)
    meta.play("ana", text="again")
    meta.flush()
    assert len(meta.backend.received) == 4
    assert len({received.body for received in meta.backend.received}) == 1


def test_a_batch_mixes_people_messages_and_statuses_in_one_post(meta: Simulator) -> None:
    meta.faults(batch=50, status_gap_ms=0)
    asked = [meta.play(name, text="hi")["id"] for name in ("ana", "ben", "mei")]
    wamid = meta.sent()
    meta.flush()
    assert len(meta.backend.received) < 5
    assert sorted(m["id"] for m in meta.backend.messages()) == sorted(asked)
    assert meta.backend.words(wamid) == ["sent", "delivered"]
    assert max(len(v.get("messages", [])) for v in meta.backend.values()) > 1


def test_shuffled_webhooks_lose_nothing(meta: Simulator) -> None:
    meta.faults(reorder=True)
    ids = [meta.play("ana", text=str(n))["id"] for n in range(40)]
    meta.flush()
    arrived = [m["id"] for m in meta.backend.messages()]
    assert Counter(arrived) == Counter(ids)
    assert arrived != ids


def test_a_delay_holds_webhooks_back_until_they_are_flushed(meta: Simulator) -> None:
    meta.faults(webhook_delay_ms=60_000)
    meta.play("ana", text="later")
    assert meta.http.get("/simulator/webhooks").json()["pending"] == 1
    assert meta.backend.received == []
    assert meta.flush() == 0
    assert len(meta.backend.received) == 1


@pytest.mark.parametrize("timeout", ["abc", "nan", "inf", "-1", ""])
def test_a_flush_waits_for_seconds_and_for_nothing_else(meta: Simulator, timeout: str) -> None:
    refused = meta.http.post("/simulator/webhooks/flush", params={"timeout": timeout})
    assert refused.status_code == 400
    assert refused.json() == {"error": "timeout must be a number of seconds"}
    assert meta.http.post("/simulator/webhooks/flush", params={"timeout": "0.5"}).is_success


@pytest.mark.parametrize("how", ["missing", "wrong", "sha1", "tampered"])
def test_a_forged_webhook_carries_no_good_signature(meta: Simulator, how: str) -> None:
    meta.backend.answers = [401]
    meta.faults(signature=how)
    meta.play("ana", text="forged")
    wait_until(lambda: meta.backend.received)
    received = meta.backend.received[0]
    digest = hmac.new(SECRET.encode(), received.body, hashlib.sha256).hexdigest()
    assert received.headers.get("x-hub-signature-256") != f"sha256={digest}"
    meta.faults(signature="valid")
    meta.flush()
    last = meta.backend.received[-1]
    digest = hmac.new(SECRET.encode(), last.body, hashlib.sha256).hexdigest()
    assert last.headers["x-hub-signature-256"] == f"sha256={digest}"
    wait_until(lambda: meta.shown("ana")[0]["state"] == "delivered")


def test_switches_are_checked_kept_and_reset(meta: Simulator) -> None:
    meta.faults(batch=5, duplicate=1)
    bad = meta.http.post("/simulator/faults", json={"duplicate": 2, "colour": "red"})
    assert bad.status_code == 422
    now = meta.http.get("/simulator/faults").json()
    assert (now["batch"], now["duplicate"]) == (5, 1)
    healthy = meta.http.delete("/simulator/faults").json()
    assert (healthy["batch"], healthy["duplicate"], healthy["graph_fault"]) == (1, 0, "none")


def test_a_reset_empties_phones_and_logs(meta: Simulator) -> None:
    meta.play("ana", text="gone soon")
    meta.sent("4915550000001")
    assert meta.http.post("/simulator/reset").status_code == 204
    assert meta.shown("ana") == []
    state = meta.http.get("/simulator/state").json()
    assert [p["id"] for p in state["people"]] == ["ana", "ben", "joana", "sam", "mei"]
    assert state["calls"] == []


def test_the_window_can_be_closed_by_hand(meta: Simulator) -> None:
    meta.play("ana", text="hi")
    document = {"phone_number_id": FIRST.phone_number_id, "open": False}
    assert meta.http.post("/simulator/phone/ana/window", json=document).json() == {"open": False}
    wamid = meta.sent()
    meta.flush()
    assert meta.backend.words(wamid) == ["failed"]
