"""Marketing on the simulator: its own API, who takes none of it, and what fails then."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from switchboard.whatsapp.webhook import parse
from switchboard.whatsapp.webhook.items import Malformed, Unhandled
from tests.simulator_run import FIRST, SECOND, THIRD, Json, Simulator, backend, simulator


@pytest.fixture
def meta(running: Simulator) -> Simulator:
    running.start_afresh()
    running.http.delete("/simulator/templates").raise_for_status()
    for name, category in (("offer", "MARKETING"), ("ticket", "UTILITY")):
        given = {"name": name, "language": "en_US", "category": category}
        given |= {"waba_id": FIRST.waba_id}
        body = {"type": "BODY", "text": "Here it is."}
        running.http.post(
            "/simulator/templates", json={**given, "components": [body]}
        ).raise_for_status()
    return running


def choose(meta: Simulator, value: str, who: str = "ana", number: str = "") -> httpx.Response:
    document = {"phone_number_id": number or FIRST.phone_number_id, "marketing": value}
    return meta.http.post(f"/simulator/phone/{who}/preferences", json=document)


def send(meta: Simulator, name: str, path: str, **more: object) -> httpx.Response:
    template = {"name": name, "language": {"code": "en_US"}}
    body = {"messaging_product": "whatsapp", "to": "525550001234", "type": "template"}
    return meta.http.post(
        f"/v23.0/{FIRST.phone_number_id}/{path}",
        json={**body, "template": template, **more},
        headers={"Authorization": f"Bearer {FIRST.access_token}"},
    )


def outcome(meta: Simulator, name: str, path: str = "messages") -> tuple[str, int | None]:
    """The last status of a template sent to Ana, and its error's code."""
    wamid = send(meta, name, path).json()["messages"][0]["id"]
    meta.flush()
    last = meta.backend.statuses(wamid)[-1]
    (error,) = last.get("errors", [{}])
    return last["status"], error.get("code")


def test_a_choice_is_told_and_read_by_our_own_parser(meta: Simulator) -> None:
    assert choose(meta, "stop").status_code == 201
    meta.flush()
    (received,) = meta.backend.received
    (entry,) = received.document["entry"]
    assert (entry["id"], entry["changes"][0]["field"]) == (FIRST.waba_id, "user_preferences")
    ana = {"wa_id": "5215550001234", "user_id": "MX.508176302041297"}
    assert entry["changes"][0]["value"] == {
        "messaging_product": "whatsapp",
        "metadata": {
            "display_phone_number": FIRST.display_phone_number,
            "phone_number_id": FIRST.phone_number_id,
        },
        "contacts": [{"profile": {"name": "Ana Torres"}, **ana}],
        "user_preferences": [
            {
                **ana,
                "detail": "User requested to stop marketing messages",
                "category": "marketing_messages",
                "value": "stop",
                "timestamp": int(meta.clock()),
            }
        ],
    }
    items = parse(received.body)
    assert items
    assert not [item for item in items if isinstance(item, Malformed | Unhandled)]


def test_marketing_fails_until_it_is_resumed_and_nothing_else_does(meta: Simulator) -> None:
    assert outcome(meta, "offer") == ("delivered", None)
    # The switch is for the whole account, whichever of its chats it is set in.
    choose(meta, "stop", number=SECOND.phone_number_id)
    assert outcome(meta, "offer") == ("failed", 131050)
    assert outcome(meta, "offer", "marketing_messages") == ("failed", 131050)
    assert outcome(meta, "ticket") == ("delivered", None)
    choose(meta, "resume")
    assert outcome(meta, "offer") == ("delivered", None)


def test_a_choice_concerns_nobody_else(meta: Simulator) -> None:
    choose(meta, "stop", who="ben")
    choose(meta, "stop", number=THIRD.phone_number_id)
    assert outcome(meta, "offer") == ("delivered", None)


def test_a_choice_survives_a_restart_and_not_a_reset(tmp_path: Path) -> None:
    with backend() as receiver:
        with simulator(receiver, tmp_path) as before:
            assert choose(before, "stop").status_code == 201
            before.flush()
        with simulator(receiver, tmp_path) as after:
            given = {"name": "offer", "language": "en_US", "category": "MARKETING"}
            body = {"type": "BODY", "text": "Here it is."}
            told = {"waba_id": FIRST.waba_id, **given, "components": [body]}
            after.http.post("/simulator/templates", json=told).raise_for_status()
            assert outcome(after, "offer") == ("failed", 131050)
            after.start_afresh()
            assert outcome(after, "offer") == ("delivered", None)


@pytest.mark.parametrize(
    ("who", "document", "status"),
    [
        ("nobody", {"phone_number_id": FIRST.phone_number_id, "marketing": "stop"}, 404),
        ("ana", {"phone_number_id": "1", "marketing": "stop"}, 422),
        ("ana", {"phone_number_id": FIRST.phone_number_id, "marketing": "perhaps"}, 422),
    ],
)
def test_a_choice_that_cannot_be_is_refused(
    meta: Simulator, who: str, document: Json, status: int
) -> None:
    answer = meta.http.post(f"/simulator/phone/{who}/preferences", json=document)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])


@pytest.mark.parametrize(
    ("name", "more", "code"),
    [
        ("ticket", {}, 134100),
        ("offer", {"type": "text", "text": {"body": "hi"}}, 131055),
        ("offer", {"product_policy": "LOOSE"}, 100),
        ("offer", {"message_activity_sharing": "yes"}, 100),
        ("offer", {"colour": "red"}, 100),
        ("none", {}, 132001),
    ],
)
def test_the_api_of_marketing_takes_marketing_alone(
    meta: Simulator, name: str, more: Json, code: int
) -> None:
    answer = send(meta, name, "marketing_messages", **more)
    assert answer.json()["error"]["code"] == code
    policy = {"product_policy": "STRICT", "message_activity_sharing": False}
    assert send(meta, "offer", "marketing_messages", **policy).status_code == 200
