"""The simulated Meta's webhooks: signed, shaped and repeated as the real ones are."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.simulator.payloads import encode
from tests.simulator_run import (
    FIRST,
    SECOND,
    SECRET,
    VERIFY_TOKEN,
    Backend,
    Received,
    Simulator,
    backend,
    simulator,
    wait_until,
)

ANA = "5215550001234"


@pytest.fixture
def receiver() -> Iterator[Backend]:
    with backend() as receiver:
        yield receiver


@pytest.fixture
def meta(receiver: Backend) -> Iterator[Simulator]:
    with simulator(receiver) as running:
        yield running


def well_signed(received: Received) -> bool:
    """Checked with hashlib alone, as a stranger would."""
    digest = hmac.new(SECRET.encode(), received.body, hashlib.sha256).hexdigest()
    return received.headers.get("x-hub-signature-256") == f"sha256={digest}"


def test_bodies_are_ascii_with_lower_case_escapes_and_escaped_slashes() -> None:
    assert encode({"a": "ñ/😀"}) == b'{"a":"\\u00f1\\/\\ud83d\\ude00"}'


def test_a_typed_message_arrives_signed_in_metas_envelope(meta: Simulator) -> None:
    shown = meta.play("ana", text="¿Hola? a/b")
    assert meta.flush() == 0
    (received,) = meta.backend.received
    assert well_signed(received)
    assert received.headers["content-type"] == "application/json"
    assert received.body.isascii()
    assert b"\\u00bfHola? a\\/b" in received.body
    assert received.document == {
        "object": "whatsapp_business_account",
        "entry": [
            {
                "id": FIRST.waba_id,
                "changes": [
                    {
                        "field": "messages",
                        "value": {
                            "messaging_product": "whatsapp",
                            "metadata": {
                                "display_phone_number": FIRST.display_phone_number,
                                "phone_number_id": FIRST.phone_number_id,
                            },
                            "contacts": [
                                {
                                    "profile": {"name": "Ana Torres"},
                                    "wa_id": ANA,
                                    "user_id": "MX.508176302041297",
                                }
                            ],
                            "messages": [
                                {
                                    "from": ANA,
                                    "from_user_id": "MX.508176302041297",
                                    "id": shown["id"],
                                    "timestamp": str(int(shown["at"])),
                                    "type": "text",
                                    "text": {"body": "¿Hola? a/b"},
                                }
                            ],
                        },
                    }
                ],
            }
        ],
    }


def test_who_shares_no_number_is_known_by_user_id_only(meta: Simulator) -> None:
    meta.play("mei", text="hi")
    meta.flush()
    (value,) = meta.backend.values()
    (message,) = value["messages"]
    assert "from" not in message
    assert message["from_user_id"] == "SG.134921770815460"
    assert value["contacts"] == [
        {
            "profile": {"name": "Mei Lin", "username": "mei.lin"},
            "user_id": "SG.134921770815460",
        }
    ]


def test_an_accepted_message_gets_sent_delivered_and_read(meta: Simulator) -> None:
    wamid = meta.sent(biz_opaque_callback_data="attempt.1")
    meta.flush()
    assert meta.backend.words(wamid) == ["sent", "delivered"]
    seen = {"phone_number_id": FIRST.phone_number_id}
    read = meta.http.post("/simulator/phone/ana/seen", json=seen).json()["read"]
    assert read == [wamid]
    meta.flush()
    sent, delivered, read = meta.backend.statuses(wamid)
    for status in (sent, delivered, read):
        assert status["recipient_id"] == ANA
        assert status["biz_opaque_callback_data"] == "attempt.1"
    assert sent["pricing"] == delivered["pricing"]
    assert sent["pricing"] == {
        "billable": False,
        "pricing_model": "PMP",
        "type": "free_customer_service",
        "category": "service",
    }
    assert sent["conversation"]["origin"] == {"type": "service"}
    assert int(sent["conversation"]["expiration_timestamp"]) > int(sent["timestamp"])
    assert "expiration_timestamp" not in delivered["conversation"]
    assert not {"pricing", "conversation"} & read.keys()
    assert [m["state"] for m in meta.shown("ana")] == ["read"]


def test_a_reaction_only_ever_gets_sent_and_shows_on_the_bubble(meta: Simulator) -> None:
    asked = meta.play("ana", text="thanks")
    wamid = meta.sent(
        body={"type": "reaction", "reaction": {"message_id": asked["id"], "emoji": "👍"}}
    )
    meta.flush()
    assert meta.backend.words(wamid) == ["sent"]
    assert meta.shown("ana")[0]["reactions"] == {"business": "👍"}
    meta.sent(body={"type": "reaction", "reaction": {"message_id": asked["id"], "emoji": ""}})
    meta.flush()
    assert meta.shown("ana")[0]["reactions"] == {}


def test_a_message_outside_the_window_fails_by_status(meta: Simulator) -> None:
    meta.play("ana", text="hello")
    meta.clock.ahead += 24 * 3600 + 1
    wamid = meta.sent(biz_opaque_callback_data="attempt.9")
    template = meta.sent(
        body={"type": "template", "template": {"name": "ready", "language": {"code": "en"}}}
    )
    meta.flush()
    (failed,) = meta.backend.statuses(wamid)
    assert failed["status"] == "failed"
    assert failed["errors"][0]["code"] == 131047
    assert failed["biz_opaque_callback_data"] == "attempt.9"
    assert meta.backend.words(template) == ["sent", "delivered"]
    (value,) = [v for v in meta.backend.values() if failed in v.get("statuses", [])]
    assert "contacts" not in value
    meta.play("ana", text="back again")
    late = meta.sent()
    meta.flush()
    assert meta.backend.words(late) == ["sent", "delivered"]


def test_the_window_is_per_number_and_unknown_people_are_served_as_if_it_were_open(
    meta: Simulator,
) -> None:
    assert meta.sent("4915550000001")
    meta.play("ana", text="hello")
    other = meta.http.post(
        f"/v23.0/{SECOND.phone_number_id}/messages",
        headers={"Authorization": "Bearer token-1"},
        json={"messaging_product": "whatsapp", "to": ANA, "type": "text", "text": {"body": "x"}},
    ).json()["messages"][0]["id"]
    meta.flush()
    assert meta.backend.words(other) == ["failed"]
    unknown = [s["status"] for s in meta.backend.statuses() if s["id"] != other]
    assert unknown == ["sent", "delivered"]


def test_a_refused_webhook_comes_again_until_it_is_taken(meta: Simulator) -> None:
    meta.backend.answers = [503, 302, 401]
    shown = meta.play("ana", text="persistent")
    wait_until(lambda: len(meta.backend.received) == 4)
    assert {received.body for received in meta.backend.received} == {meta.backend.received[0].body}
    wait_until(lambda: meta.shown("ana")[0]["state"] == "delivered")
    assert [m["id"] for m in meta.backend.messages()] == [shown["id"]] * 4
    attempts = meta.http.get("/simulator/webhooks").json()
    posts = [entry for entry in attempts["webhooks"] if "handshake" not in entry]
    assert [entry["status"] for entry in posts] == [503, 302, 401, 200]
    assert attempts["pending"] == 0


def test_flushing_does_not_wait_for_the_back_off(receiver: Backend) -> None:
    with simulator(receiver, first_retry=3600.0) as meta:
        meta.backend.answers = [500]
        meta.play("ana", text="one")
        wait_until(lambda: meta.backend.received)
        assert meta.flush() == 0
        assert len(meta.backend.messages()) == 2


def test_a_refused_webhook_does_not_hold_back_its_chat(receiver: Backend) -> None:
    with simulator(receiver, first_retry=3600.0) as meta:
        meta.backend.answers = [500]
        meta.play("ana", text="one")
        second = meta.play("ana", text="two")
        wait_until(lambda: meta.backend.messages()[-1:] and meta.shown("ana")[1]["state"] != "sent")
        assert meta.backend.messages()[-1]["id"] == second["id"]
        assert [m["state"] for m in meta.shown("ana")] == ["sent", "delivered"]


def test_webhooks_of_one_chat_leave_in_order(meta: Simulator) -> None:
    meta.backend.hold_seconds = 0.01
    ids = [meta.play("ana", text=str(n))["id"] for n in range(12)]
    meta.flush()
    assert [m["id"] for m in meta.backend.messages()] == ids


def test_meta_greets_the_webhook_address_until_it_answers(receiver: Backend) -> None:
    receiver.refuse_handshakes = 1
    with simulator(receiver) as meta:
        wait_until(lambda: len(receiver.handshakes) == 2)
        assert {h["hub.mode"] for h in receiver.handshakes} == {"subscribe"}
        assert {h["hub.verify_token"] for h in receiver.handshakes} == {VERIFY_TOKEN}
        wait_until(lambda: meta.http.get("/simulator/webhooks").json()["webhooks"][1:])
        logged = meta.http.get("/simulator/webhooks").json()["webhooks"]
        assert [(h["status"], h["accepted"]) for h in logged] == [(403, False), (200, True)]


def test_a_restart_keeps_chats_and_sends_what_was_not_taken(
    receiver: Backend, tmp_path: Path
) -> None:
    receiver.answers = [500] * 3
    with simulator(receiver, tmp_path, first_retry=3600.0) as meta:
        meta.play("ana", text="before")
        meta.play("12025550177", text="a stranger")
        wamid = meta.sent(biz_opaque_callback_data="k")
        meta.faults(duplicate=1, status_gap_ms=0)
        wait_until(lambda: len(receiver.received) >= 3)
    receiver.received.clear()
    receiver.answers = []
    with simulator(receiver, tmp_path) as meta:
        assert [m["preview"] for m in meta.shown("ana")] == ["before", "hello"]
        assert [m["preview"] for m in meta.shown("12025550177")] == ["a stranger"]
        assert meta.http.get("/simulator/faults").json()["duplicate"] == 1
        assert meta.flush() == 0
        assert {m["text"]["body"] for m in receiver.messages()} == {"before", "a stranger"}
        assert set(receiver.words(wamid)) <= {"sent", "delivered"}
        assert [m["state"] for m in meta.shown("ana")] == ["delivered", "delivered"]


def test_a_picture_arrives_with_its_checksum(meta: Simulator) -> None:
    meta.play("ana", type="image", data="aGVsbG8=", mime_type="image/png", caption="look")
    meta.flush()
    (message,) = meta.backend.messages()
    picture = message["image"]
    assert picture["mime_type"] == "image/png"
    assert picture["caption"] == "look"
    assert picture["sha256"] == "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
    stored = meta.http.get(f"/simulator/media/{picture['id']}")
    assert stored.content == b"hello"
    assert "sandbox" in stored.headers["content-security-policy"]


def test_every_gesture_has_metas_shape(meta: Simulator) -> None:
    question = meta.sent(
        body={
            "type": "interactive",
            "interactive": {
                "type": "button",
                "body": {"text": "Confirm?"},
                "action": {"buttons": [{"type": "reply", "reply": {"id": "ok", "title": "OK"}}]},
            },
        }
    )
    row = {"id": "r1", "title": "Tomorrow", "description": "9:00"}
    choice = meta.sent(
        body={
            "type": "interactive",
            "interactive": {
                "type": "list",
                "body": {"text": "When?"},
                "action": {"button": "Times", "sections": [{"rows": [row]}]},
            },
        }
    )
    meta.play("ana", type="button", button_id="ok")
    meta.play("ana", type="list", row_id="r1", reply_to=choice)
    meta.play("ana", type="location", latitude=19.43, longitude=-99.13, name="Zócalo")
    meta.play("ana", type="reaction", message_id=question, emoji="❤️")
    meta.play("ana", type="reaction", message_id=question)
    meta.play("ana", text="about that", reply_to=question)
    meta.play("ana", **{"type": "raw", "as": "sticker", "content": {"id": "9", "animated": False}})
    meta.flush()
    tapped, chosen, place, reacted, removed, quoted, sticker = meta.backend.messages()
    context = {"from": FIRST.display_phone_number, "id": question}
    assert tapped["context"] == quoted["context"] == context
    assert tapped["interactive"] == {
        "type": "button_reply",
        "button_reply": {"id": "ok", "title": "OK"},
    }
    assert chosen["context"]["id"] == choice
    assert chosen["interactive"] == {"type": "list_reply", "list_reply": row}
    assert place["location"] == {"latitude": 19.43, "longitude": -99.13, "name": "Zócalo"}
    assert reacted["reaction"] == {"message_id": question, "emoji": "❤️"}
    assert removed["reaction"] == {"message_id": question}
    assert "context" not in reacted
    assert sticker["sticker"] == {"id": "9", "animated": False}


def interactive(kind: str, **content: Any) -> dict[str, Any]:
    return {"type": "interactive", "interactive": {"type": kind, **content}}


def test_a_request_to_call_is_allowed_for_a_week_or_for_good_or_refused(meta: Simulator) -> None:
    asked = interactive("call_permission_request", action={"name": "call_permission_request"})
    first = meta.sent(body=asked)
    meta.clock.ahead += 86_401  # one request in 24 hours
    second = meta.sent(body=asked)
    meta.play("ana", type="call_permission", response="accept", reply_to=first)
    meta.play("ana", type="call_permission", response="accept", is_permanent=True)
    meta.play("ana", type="call_permission", response="reject")
    meta.flush()
    replies = meta.backend.messages()
    assert [reply["context"]["id"] for reply in replies] == [first, second, second]
    ends = str(int(meta.clock()) + 7 * 86_400)
    by_hand = {"response_source": "user_action"}
    assert [reply["interactive"]["call_permission_reply"] for reply in replies] == [
        {"response": "accept", "is_permanent": False, "expiration_timestamp": ends, **by_hand},
        {"response": "accept", "is_permanent": True, **by_hand},
        {"response": "reject", **by_hand},
    ]
    assert meta.shown("ana")[-1]["preview"] == "📞 Calls: reject"


def test_a_number_is_shared_when_it_is_asked_for(meta: Simulator) -> None:
    asked = interactive(
        "request_contact_info",
        body={"text": "Your number?"},
        action={"name": "request_contact_info"},
    )
    wamid = meta.sent(body=asked)
    meta.play("ana", type="contact")
    meta.flush()
    (shared,) = meta.backend.messages()
    assert shared["context"]["id"] == wamid
    assert shared["contacts"] == [
        {
            "origin": "contact_request",
            "phones": [{"phone": "+525550001234", "type": "CELL", "wa_id": "5215550001234"}],
        }
    ]
    assert meta.shown("ana")[-1]["preview"] == "👤 Number shared"


def test_a_button_of_a_card_is_tapped(meta: Simulator) -> None:
    def card(index: int) -> dict[str, Any]:
        reply = {"id": f"like-{index}", "title": "I like it"}
        return {
            "card_index": index,
            "type": "cta_url",
            "header": {"type": "image", "image": {"link": "https://a.example/b.jpg"}},
            "action": {"buttons": [{"type": "quick_reply", "quick_reply": reply}]},
        }

    wamid = meta.sent(
        body=interactive("carousel", body={"text": "Which?"}, action={"cards": [card(0), card(1)]})
    )
    meta.play("ana", type="button", button_id="like-1")
    meta.flush()
    (tapped,) = meta.backend.messages()
    assert tapped["context"]["id"] == wamid
    assert tapped["interactive"]["button_reply"] == {"id": "like-1", "title": "I like it"}


@pytest.mark.parametrize(
    ("contact", "document", "status"),
    [
        ("ana", {"type": "button", "button_id": "nowhere"}, 422),
        ("ana", {"type": "call_permission", "response": "accept"}, 422),
        ("ana", {"type": "call_permission", "response": "perhaps"}, 422),
        ("ana", {"type": "contact"}, 422),
        ("ana", {"type": "image", "data": "%%%"}, 422),
        ("ana", {"type": "image"}, 422),
        ("ana", {"type": "text", "text": ""}, 422),
        ("ana", {"type": "dance"}, 422),
        ("ana", {"type": "text", "text": "x", "phone_number_id": "0"}, 422),
        ("nobody at all", {"type": "text", "text": "x"}, 404),
    ],
)
def test_an_impossible_gesture_is_explained(
    meta: Simulator, contact: str, document: dict[str, Any], status: int
) -> None:
    body = {"phone_number_id": FIRST.phone_number_id} | document
    answer = meta.http.post(f"/simulator/phone/{contact}/messages", json=body)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert meta.flush() == 0
    assert meta.backend.received == []


def test_the_event_stream_tells_what_happens(meta: Simulator) -> None:
    with meta.http.stream("GET", "/simulator/events") as stream:
        lines = stream.iter_lines()
        assert next(line for line in lines if line.startswith("event")) == "event: hello"
        meta.play("ana", text="watched")
        kinds: list[str] = []
        for line in lines:
            if line.startswith("event: "):
                kinds.append(line.removeprefix("event: "))
            if line.startswith("data: ") and kinds[-1:] == ["webhook"]:
                entry = json.loads(line.removeprefix("data: "))
                if "handshake" not in entry:
                    assert entry["status"] == 200
                    break
    assert "message" in kinds
