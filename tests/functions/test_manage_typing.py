"""POST /v1/conversations/{id}/typing: the person sees that somebody writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from switchboard.__main__ import DONE, main
from switchboard.kernel.clock import Clock
from tests.databases import ClonedDatabase
from tests.functions.graph_server import GraphServer, serving
from tests.managing import Desk, desk_of

ROUTE = "POST /v1/conversations/{id}/typing"
ANA = "4915550000001"
#: What Meta is asked for the second of Ana's messages.
BODY = {
    "messaging_product": "whatsapp",
    "status": "read",
    "message_id": f"wamid.{ANA}.0001",
    "typing_indicator": {"type": "text"},
}


@pytest.fixture
def graph() -> Iterator[GraphServer]:
    with serving() as server:
        yield server


@pytest.fixture
def desk(
    graph: GraphServer, database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    with desk_of(database, monkeypatch) as desk:
        desk.use(graph_url=graph.url)
        yield desk


def test_the_newest_message_is_answered_by_the_indicator_and_all_are_read(
    desk: Desk, graph: GraphServer
) -> None:
    conversation_id = desk.hear(ANA, "one", "two")
    shown = desk.ok(ROUTE, conversation_id)
    assert (shown["receipt"], shown["conversation"]["unread_count"]) == ("taken", 0)
    assert graph.asked == [BODY]
    assert {row["status"] for row in desk.place.rows("whatsapp_messages")} == {"read"}
    # The indicator goes after 25 seconds: whoever still writes asks again.
    assert desk.ok(ROUTE, conversation_id)["receipt"] == "taken"
    assert graph.asked == [BODY, BODY]


@pytest.mark.parametrize(
    "answer",
    [
        (400, {"error": {"message": "no", "code": 131009}}),
        (500, {"error": {"message": "no", "code": 131000}}),
        (503, b"<html>"),
        (200, {}),
    ],
)
def test_what_fails_at_meta_breaks_nothing(
    desk: Desk, graph: GraphServer, answer: tuple[int, Any]
) -> None:
    conversation_id = desk.hear(ANA, "one", "two")
    graph.answer = lambda *_: answer
    shown = desk.ok(ROUTE, conversation_id)
    assert (shown["receipt"], shown["conversation"]["unread_count"]) == ("not_taken", 0)


@pytest.mark.parametrize("column", ["sends_stopped_at", "deleted"])
def test_a_number_that_is_stopped_or_away_shows_nothing(
    desk: Desk, graph: GraphServer, column: str
) -> None:
    conversation_id = desk.hear(ANA)
    if column == "deleted":
        desk.use(graph_url="http://127.0.0.1:9")
    else:
        desk.place.set_number(sends_stopped_at="2020-01-01")
    assert desk.ok(ROUTE, conversation_id)["receipt"] == "not_taken"
    assert graph.asked == []


def test_somebody_blocked_learns_of_nothing(desk: Desk, graph: GraphServer) -> None:
    conversation_id = desk.hear(ANA)
    desk.set("contacts", desk.contact_of(conversation_id), is_blocked=True)
    assert desk.ok(ROUTE, conversation_id)["receipt"] == "not_taken"
    assert graph.asked == []


def test_a_thread_in_which_nobody_has_written_has_nothing_to_answer(
    desk: Desk, graph: GraphServer
) -> None:
    person = desk.place.person()
    status, problem = desk.call(ROUTE, person.conversation_id)
    assert (status, "nobody has written" in problem["detail"]) == (409, True)
    assert graph.asked == []


def test_after_thirty_days_meta_shows_nothing(desk: Desk, graph: GraphServer) -> None:
    conversation_id = desk.hear(ANA)
    document: dict[str, Any] = {}
    for days, expected in ((29.9, 200), (30.1, 409)):
        desk.world.everything.execute(
            "update messaging.whatsapp_messages set occurred_at = now() - %s",
            (timedelta(days=days),),
        )
        status, document = desk.call(ROUTE, conversation_id)
        assert status == expected
    assert "30 days" in document["detail"]
    assert len(graph.asked) == 1


def test_a_thread_that_went_into_another_answers_for_that(desk: Desk, graph: GraphServer) -> None:
    root, gone = desk.hear(ANA, "one", "two"), str(uuid4())
    desk.world.everything.execute(
        "insert into messaging.conversation_merges (tenant_id, conversation_id, merged_into,"
        " merged_at) values (%s, %s, %s, now())",
        (desk.place.tenant_id, gone, root),
    )
    shown = desk.ok(ROUTE, gone)["conversation"]
    assert (shown["id"], shown["merged_from"], shown["unread_count"]) == (root, gone, 0)
    assert graph.asked == [BODY]


def test_it_takes_no_body(desk: Desk) -> None:
    conversation_id = desk.hear(ANA)
    status, problem = desk.call(ROUTE, conversation_id, body={"typing": True})
    assert (status, problem["field"]) == (422, "typing")
    desk.ok(ROUTE, conversation_id, body={})


def test_the_command_does_the_same(
    desk: Desk,
    graph: GraphServer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    conversation_id = desk.hear(ANA, "one", "two")
    made = desk.world.tools(Clock(), graph_url=graph.url)
    monkeypatch.setattr("switchboard.commands.app_tools", lambda: made)
    line = ["--tenant", str(desk.place.tenant_id), "--conversation", conversation_id, "--json"]
    capfd.readouterr()
    assert main(["conversations", "typing", *line]) == DONE
    assert json.loads(capfd.readouterr().out)["receipt"] == "taken"
    assert graph.asked == [BODY]
