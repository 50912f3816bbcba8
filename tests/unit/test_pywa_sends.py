"""What pywa sends is accepted by the simulator as it was sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.pywa_client import ANA, ANA_ID, Json, Pywa, pywa
from tests.pywa_messages import CASES
from tests.simulator_run import backend, simulator


@pytest.fixture(scope="module")
def client() -> Iterator[Pywa]:
    with backend() as receiver, simulator(receiver) as meta, pywa(meta) as client:
        # All of it goes to one person at once.
        meta.faults(pair_limit=False)
        yield client


def with_ids(content: Any, ids: Json) -> Any:
    if isinstance(content, dict):
        return {key: with_ids(part, ids) for key, part in content.items()}
    if isinstance(content, list):
        return [with_ids(part, ids) for part in content]
    return ids.get(content, content) if isinstance(content, str) else content


@pytest.mark.parametrize("name", CASES)
def test_what_pywa_sends_is_accepted_as_it_was_sent(client: Pywa, name: str) -> None:
    case = CASES[name]
    message = str(client.meta.play("ana", text="hola")["id"])
    file = client.meta.uploaded()
    sent = case.call(client.client, message, file)
    expected = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": ANA,
        "type": case.type,
        case.type: case.content,
        **case.more,
    }
    expected = {key: part for key, part in expected.items() if part is not None}
    expected = with_ids(expected, {"MESSAGE": message, "FILE": file})
    assert client.last_body == expected
    journaled = client.last_journaled
    assert (journaled["status"], journaled["body"]) == (200, expected)
    assert sent.id == journaled["accepted"]
    assert sent.chat.id == expected.get("recipient", ANA_ID)


def test_a_message_is_marked_as_read_and_typing_shown(client: Pywa) -> None:
    message = str(client.meta.play("ana", text="hola")["id"])
    assert client.client.mark_message_as_read(message).success
    read: Json = {"messaging_product": "whatsapp", "status": "read", "message_id": message}
    assert client.last_journaled["body"] == client.last_body == read
    states = {shown["id"]: shown["state"] for shown in client.meta.shown("ana")}
    assert states[message] == "read"
    assert client.client.indicate_typing(message).success
    typing = {**read, "typing_indicator": {"type": "text"}}
    assert client.last_journaled["body"] == client.last_body == typing
