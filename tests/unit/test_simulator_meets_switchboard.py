"""The simulator and the project's own WhatsApp code agree: both were written from Meta's pages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from switchboard.whatsapp.client import (
    Accepted,
    GraphClient,
    Rejected,
    Throttled,
    Unconfirmed,
)
from switchboard.whatsapp.signature import matching
from switchboard.whatsapp.webhook import Message, Status, Unknown, parse
from tests.simulator_run import FIRST, SECRET, Simulator

Json = dict[str, Any]
OUTBOUND = sorted((Path(__file__).parents[1] / "payloads" / "outbound").glob("*.json"))
# Meta does not know it (yet), so neither does the simulator.
UNHEARD_OF = {"type_of_tomorrow", "interactive_kind_of_tomorrow"}


@pytest.fixture
def client(meta: Simulator) -> Iterator[GraphClient]:
    client = GraphClient(meta.url, "v23.0")
    yield client
    client.close()


def text_to(recipient: str) -> Json:
    return {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": recipient,
        "type": "text",
        "text": {"body": "hello"},
    }


@pytest.mark.parametrize("file", OUTBOUND, ids=lambda file: str(file.stem))
def test_every_body_we_send_is_accepted(meta: Simulator, client: GraphClient, file: Path) -> None:
    body = json.loads(file.read_text())
    meta.upload_files_of(body)
    outcome = client.send(FIRST.phone_number_id, FIRST.access_token, body)
    if file.stem in UNHEARD_OF:
        assert isinstance(outcome, Rejected)
        assert outcome.code == 100
    else:
        assert isinstance(outcome, Accepted), outcome


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"graph_fault": "server_error"}, Unconfirmed),
        ({"graph_fault": "server_error_after"}, Unconfirmed),
        ({"graph_fault": "html_502"}, Unconfirmed),
        ({"graph_fault": "throttled"}, Throttled),
        ({"graph_fault": "throttled_pair"}, Throttled),
        ({"graph_fault": "error", "graph_error_code": 190}, Rejected),
        ({"graph_fault": "error", "graph_error_code": 131031}, Rejected),
        ({"graph_fault": "error", "graph_error_code": 131057}, Throttled),
    ],
)
def test_each_fault_is_the_outcome_it_is_meant_to_be(
    meta: Simulator, client: GraphClient, fault: Json, expected: type
) -> None:
    meta.faults(**fault)
    outcome = client.send(FIRST.phone_number_id, FIRST.access_token, text_to("+525550001234"))
    assert isinstance(outcome, expected), outcome


def test_an_answer_tells_metas_name_of_the_number(meta: Simulator, client: GraphClient) -> None:
    outcome = client.send(FIRST.phone_number_id, FIRST.access_token, text_to("+525550001234"))
    assert isinstance(outcome, Accepted)
    assert outcome.wa_id == "5215550001234"
    refused = client.send(FIRST.phone_number_id, "another-token", text_to("+525550001234"))
    assert isinstance(refused, Rejected)
    assert (refused.code, refused.http_status) == (190, 401)


def test_reading_turns_the_ticks_blue(meta: Simulator, client: GraphClient) -> None:
    asked = meta.play("ben", text="hi")
    outcome = client.mark_read(FIRST.phone_number_id, FIRST.access_token, asked["id"], typing=True)
    assert isinstance(outcome, Accepted)
    assert meta.shown("ben")[0]["state"] == "read"


def test_every_webhook_is_signed_and_read_whole(meta: Simulator) -> None:
    meta.faults(batch=100)
    wamid = meta.sent(biz_opaque_callback_data="k.1")
    meta.http.post("/simulator/phone/ana/seen", json={"phone_number_id": FIRST.phone_number_id})
    meta.play("ana", text="¡hola!", reply_to=wamid)
    meta.play("mei", text="no number")
    meta.play("ben", type="location", latitude=1.0, longitude=2.0)
    meta.play("sam", type="image", data="aGVsbG8=", mime_type="image/png")
    meta.play("ana", type="reaction", message_id=wamid, emoji="🎉")
    meta.play("ana", type="reaction", message_id=wamid)
    meta.flush()
    items = []
    for received in meta.backend.received:
        assert matching(received.body, received.headers["x-hub-signature-256"], [SECRET]) == 0
        items += parse(received.body)
    messages = [item for item in items if isinstance(item, Message)]
    statuses = [item for item in items if isinstance(item, Status)]
    assert len(items) == len(messages) + len(statuses)
    assert not [m for m in messages if isinstance(m.payload, Unknown)]
    assert len(messages) == 6
    assert {m.sender.user_id for m in messages if m.sender.wa_id is None} == {"SG.134921770815460"}
    assert [m.context_id for m in messages if m.type == "text"] == [wamid, None]
    assert {s.callback_data for s in statuses} == {"k.1"}
    assert {s.status for s in statuses} >= {"sent", "delivered"}
