"""POST /v1/messages/batch, with real events and a Graph on a socket."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from functions.send_message import app
from switchboard.kernel.clock import Clock
from tests.databases import ClonedDatabase
from tests.functions.graph_server import GraphServer, serving
from tests.sending import World

Made = dict[str, Any]


class Service:
    """The function and its tenant."""

    def __init__(self, world: World, graph: GraphServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.graph = graph
        self.place = world.place()
        self.nudges = 0
        tools = world.tools(Clock(), graph_url=graph.url)
        monkeypatch.setattr(tools, "nudge", self._nudged)
        monkeypatch.setattr(app, "tools", lambda: tools)

    def _nudged(self) -> None:
        self.nudges += 1

    def post(self, body: Any, **headers: str) -> tuple[int, Made]:
        response = app.handler(
            {
                "version": "2.0",
                "routeKey": "POST /v1/messages/batch",
                "rawPath": "/v1/messages/batch",
                "headers": {"authorization": f"Bearer {self.place.key}", **headers},
                "requestContext": {"http": {"method": "POST", "path": "/v1/messages/batch"}},
                "body": body if isinstance(body, str) else json.dumps(body),
                "isBase64Encoded": False,
            },
            None,
        )
        return response["statusCode"], json.loads(response["body"])

    def text(self, to: str, body: str = "hello", **more: Any) -> Made:
        return {
            "from": self.place.phone_number_id,
            "to": to,
            "message": {"type": "text", "text": {"body": body}},
            **more,
        }


@pytest.fixture
def service(database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with serving() as graph, closing(World(database)) as world:
        yield Service(world, graph, monkeypatch)


def test_each_message_is_answered_in_its_place(service: Service) -> None:
    known, closed = service.place.person(), service.place.person(window=None)
    status, answer = service.post(
        {
            "messages": [
                service.text(known.phone),
                service.text("no phone"),
                service.text(closed.phone),
                {**service.text(known.phone), "from": "404"},
                service.text(known.phone, "x" * 9000),
                "no object",
            ]
        }
    )
    assert status == 202
    codes = [one["status_code"] for one in answer["messages"]]
    assert codes == [200, 422, 422, 404, 422, 400]
    sent, _, denied, _, long, _ = answer["messages"]
    assert sent["status"] == "accepted"
    assert denied["message_status"] == "denied"
    assert denied["decision"]["reason"] == "window_closed"
    assert long["field"] == "message.text.body"
    assert len(service.graph.asked) == 1


def test_a_key_of_an_item_answers_for_it_when_parts_are_repeated(service: Service) -> None:
    people = [service.place.person() for _ in range(3)]
    messages = [service.text(p.phone, idempotency_key=f"k{n}") for n, p in enumerate(people)]
    _, first = service.post({"messages": messages[:2]})
    _, second = service.post({"messages": messages})
    assert [one["id"] for one in second["messages"][:2]] == [one["id"] for one in first["messages"]]
    assert len(service.graph.asked) == 3
    other = {**messages[0], "to": people[1].phone}
    assert service.post({"messages": [other]})[1]["messages"][0]["status_code"] == 409


def test_a_thousand_are_stored_at_once_and_what_does_not_fit_goes_on_later(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["switchboard.outbox.send"], "CALLER_S", 0.5)
    numbers = [str(4915112000000 + n) for n in range(1000)]
    template = {
        "type": "template",
        "template": {"name": "hello", "language": {"code": "en"}},
    }
    messages = [
        {
            "from": service.place.phone_number_id,
            "to": number,
            "message": template,
            "category": "utility",
        }
        for number in numbers
    ]
    status, answer = service.post({"messages": messages})
    assert status == 202
    told = [one["status"] for one in answer["messages"]]
    assert set(told) == {"accepted", "pending"}
    # 80 a second and half a second of them in stock: that much, give or take a slow machine.
    assert 32 <= told.count("accepted") <= 200
    assert len(service.graph.asked) == told.count("accepted")
    assert len(service.place.rows("whatsapp_messages")) == 1000
    assert len(service.place.rows("send_attempts", phase="pending")) == told.count("pending")
    assert service.nudges == 1


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"messages": []}, 400, "messages"),
        ({"messages": [{}] * 1001}, 400, "messages"),
        ({}, 400, "messages"),
        ({"messages": [{}], "dry_run": True}, 422, "dry_run"),
        ("[1]", 400, None),
        ("{", 400, None),
    ],
)
def test_a_batch_that_is_none_is_refused_whole(
    service: Service, body: Any, status: int, field: str | None
) -> None:
    got, problem = service.post(body)
    assert (got, problem.get("field")) == (status, field)
    assert service.place.rows("whatsapp_messages") == []


def test_one_key_for_the_whole_batch_is_refused(service: Service) -> None:
    person = service.place.person()
    body = {"messages": [service.text(person.phone)]}
    status, problem = service.post(body, **{"idempotency-key": "k"})
    assert (status, problem["field"]) == (400, "idempotency_key")
    assert service.graph.asked == []
