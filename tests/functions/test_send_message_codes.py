"""What a caller, the message and the number see of each class of Meta's refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from functions.send_message import app
from switchboard import admin, outbox
from switchboard.kernel.clock import Clock
from switchboard.kernel.db import Database
from switchboard.kernel.owner import OwnerSettings
from switchboard.outbox import consequences
from switchboard.tools import Tools
from tests.databases import ClonedDatabase
from tests.functions.graph_server import GraphServer, serving
from tests.sending import Place, PlainSealer, World
from tests.simulator_run import FIRST, Simulator

Made = dict[str, Any]
PHONE = "4915112345678"


class Service:
    """The function in front of some Graph, with a number that Graph knows, and one person."""

    def __init__(self, world: World, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.url = url
        self.place: Place = world.place()
        self.person = self.place.person(PHONE, window=3)
        tools = world.tools(Clock(), graph_url=url)
        monkeypatch.setattr(app, "tools", lambda: tools)

    def know(self, phone_number_id: str, token: str) -> None:
        """Let the number be one of Graph's."""
        self.place.set_number(phone_number_id=phone_number_id, access_token_sealed=token.encode())
        self.place.phone_number_id = phone_number_id

    def post(self, to: str = PHONE, **more: Any) -> tuple[int, Made]:
        """POST a text to /v1/messages."""
        body = {
            "from": self.place.phone_number_id,
            "to": to,
            "message": {"type": "text", "text": {"body": "hello"}},
            **more,
        }
        return self._call("POST /v1/messages", json.dumps(body))

    def get(self, message_id: str) -> Made:
        """GET /v1/messages/{id}."""
        status, made = self._call("GET /v1/messages/{id}", None, {"id": message_id})
        assert status == 200
        return made

    def _call(
        self, route: str, body: str | None, parameters: dict[str, str] | None = None
    ) -> tuple[int, Made]:
        method, path = route.split(" ")
        key = f"Bearer {self.place.key}"
        event = {
            "version": "2.0",
            "routeKey": route,
            "rawPath": path,
            "rawQueryString": "",
            "headers": {"content-type": "application/json", "authorization": key},
            "requestContext": {"http": {"method": method, "path": path}, "requestId": "r"},
            "pathParameters": parameters,
            "body": body,
            "isBase64Encoded": False,
        }
        response = app.handler(event, None)
        return response["statusCode"], json.loads(response["body"])

    def run_due(self, **later: float) -> dict[str, int]:
        """Let a worker run, so much later."""
        clock = Clock(now=datetime.now(UTC) + timedelta(**later))
        tools = self.world.tools(clock, graph_url=self.url)
        return dict(outbox.run_due(tools, tools.clock.monotonic() + 60))

    def pauses(self) -> tuple[str | None, str | None]:
        """Return why the number and why its account are paused."""
        row = self.place.everything.execute(
            "select n.sends_paused_reason, w.sends_paused_reason"
            " from messaging.whatsapp_accounts as n"
            " join messaging.whatsapp_business_accounts as w on w.waba_id = n.waba_id"
            " where n.id = %s",
            (self.place.account_id,),
        ).fetchone()
        assert row is not None
        return row[0], row[1]

    def replace_token(self, token: str) -> None:
        """Seal a new token, as the operator does."""
        tools = Tools(OwnerSettings(), db=Database(self.world.database.owner_url), clock=Clock())
        tools.sealer = Unsealed()  # type: ignore[assignment]
        named = {"tenant": str(self.place.tenant_id), "number": self.place.phone_number_id}
        admin.run("number update", {**named, "access_token": token}, tools=tools)
        tools.db.drop()


class Unsealed(PlainSealer):
    """Stores what PlainSealer reads."""

    def seal(self, plain: str, *, tenant_id: UUID | str, purpose: str) -> bytes:
        """Return the token as it is."""
        return plain.encode()


@pytest.fixture
def world(database: ClonedDatabase) -> Iterator[World]:
    with closing(World(database)) as world:
        yield world


@pytest.fixture
def service(world: World, meta: Simulator, monkeypatch: pytest.MonkeyPatch) -> Service:
    service = Service(world, meta.url, monkeypatch)
    service.know(FIRST.phone_number_id, FIRST.access_token)
    return service


@pytest.mark.parametrize(
    ("code", "pauses"),
    [
        (190, ("token", None)),
        (10, ("token: 10 permission missing or removed", None)),
        (4, ("4 the app's call limit", None)),
        (131048, ("131048 spam rate limit", None)),
        (131057, ("131057 maintenance, about a minute", None)),
        (133010, ("133010 the number is not registered", None)),
        (80007, (None, "80007 the WABA's rate limit")),
        (131031, (None, "policy: 131031 the account is locked")),
        (131042, (None, "131042 a payment problem")),
        (130429, (None, None)),
    ],
)
def test_what_is_not_the_messages_fault_lets_it_wait(
    service: Service, meta: Simulator, code: int, pauses: tuple[str | None, str | None]
) -> None:
    meta.faults(graph_fault="error", graph_error_code=code)
    status, made = service.post()
    assert (status, made["status"]) == (202, "pending")
    assert service.pauses() == pauses
    (attempt,) = service.place.rows("send_attempts")
    # It was not the message's doing, and is none of its tries.
    assert (attempt["phase"], attempt["tries"]) == ("pending", 0)
    shown = service.get(made["id"])
    assert shown["errors"][0]["code"] == code
    if code == 130429:
        (bucket,) = service.place.rows("send_limits")
        assert bucket["learned_rate"] < 80


@pytest.mark.parametrize(
    ("code", "led_to"),
    [
        (100, {}),
        (131008, {}),
        (131026, {"unreachable_contacts": 1}),
        (131047, {"window": True}),
        (131050, {"consents": 1}),
        (132001, {}),
        (999_999, {"whatsapp_account_events": 1}),
    ],
)
def test_what_was_the_message_fails_it_and_is_remembered(
    service: Service, meta: Simulator, code: int, led_to: dict[str, Any]
) -> None:
    meta.faults(graph_fault="error", graph_error_code=code)
    status, made = service.post()
    assert status == 502
    assert made["error"]["code"] == code
    assert service.place.message(made["id"])["status"] == "failed"
    assert service.pauses() == (None, None)
    for table in ("unreachable_contacts", "consents", "whatsapp_account_events"):
        assert len(service.place.rows(table)) == led_to.get(table, 0), table
    (thread,) = service.place.rows("whatsapp_conversations")
    closed = thread["window_expires_at"] <= datetime.now(UTC)
    assert closed == led_to.get("window", False)


def test_maybe_taken_stays_open(service: Service, meta: Simulator) -> None:
    meta.faults(graph_fault="error", graph_error_code=131016)
    status, made = service.post()
    assert (status, made["status"]) == (202, "unconfirmed")
    assert service.pauses() == (None, None)


def test_later_waits_for_its_time_and_fails_where_that_is_too_late(
    service: Service, meta: Simulator
) -> None:
    meta.faults(graph_fault="error", graph_error_code=132069)
    status, made = service.post()
    assert (status, made["status"]) == (202, "pending")
    (attempt,) = service.place.rows("send_attempts")
    assert attempt["due_at"] > datetime.now(UTC) + timedelta(minutes=59)

    end = (datetime.now(UTC) + timedelta(minutes=30)).isoformat()
    other = service.place.person("4915187654321")
    status, made = service.post(other.phone, expires_at=end)
    assert status == 502
    assert made["error"]["reason"] == "too_late"
    # The window that a reply needs is an end as well.
    short = service.place.person("4915187654322", window=0.5)
    assert service.post(short.phone)[0] == 502


def test_a_pairs_limit_holds_its_conversation_alone(service: Service, meta: Simulator) -> None:
    meta.faults(graph_fault="error", graph_error_code=131056, graph_fault_times=1)
    assert service.post()[1]["status"] == "pending"
    other = service.place.person("4915187654321")
    assert service.post(other.phone)[1]["status"] == "accepted"
    assert service.run_due(seconds=10) == {"accepted": 1}


def test_a_dead_token_pauses_the_number_and_not_the_queue(
    service: Service, meta: Simulator
) -> None:
    service.know(FIRST.phone_number_id, "dead")
    first = service.post()[1]["id"]
    # While it lasts nobody asks Meta again.
    asked = _asked(meta)
    second = service.post()[1]
    assert second["status"] in {"pending", "denied"}
    assert service.run_due(minutes=5) == {}
    assert _asked(meta) == asked

    service.replace_token(FIRST.access_token)
    assert service.pauses() == (None, None)
    service.run_due(minutes=5)
    assert service.place.message(first)["status"] == "accepted"


def _asked(meta: Simulator) -> int:
    return len(meta.http.get("/simulator/requests").json()["requests"])


@pytest.fixture
def graph() -> Iterator[GraphServer]:
    with serving() as server:
        yield server


@pytest.fixture
def local(
    database: ClonedDatabase, graph: GraphServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    """In front of a Graph whose answers the test writes, and which ends after who asks it."""
    with closing(World(database)) as world:
        yield Service(world, graph.url, monkeypatch)


DEAD = {"error": {"message": "expired", "code": 190, "fbtrace_id": "A"}}


def test_a_token_that_is_replaced_meanwhile_costs_no_pause(
    local: Service, graph: GraphServer
) -> None:
    def answer(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if graph.tokens[-1] == "Bearer new":
            return graph.accept(path, body)
        # The operator is quicker than Meta's answer.
        local.replace_token("new")
        return 401, DEAD

    graph.answer = answer
    status, made = local.post()
    assert (status, made["status"]) == (202, "pending")
    assert local.pauses() == (None, None)
    assert local.run_due(seconds=10) == {"accepted": 1}
    assert graph.tokens == [f"Bearer token-{local.place.phone_number_id}", "Bearer new"]


def test_the_numbers_other_messages_do_not_meet_the_dead_token(
    local: Service, graph: GraphServer
) -> None:
    graph.answer = lambda _path, _body: (401, DEAD)
    people = [local.place.person() for _ in range(40)]
    tools = local.world.tools(Clock(), graph_url=graph.url)
    from switchboard.outbox import Origin, Outgoing

    items = [
        Outgoing(
            phone_number_id=local.place.phone_number_id,
            phone=person.phone,
            message={"type": "text", "text": {"body": "x"}},
            origin=Origin.CHATBOT,
        )
        for person in people
    ]
    with tools.db.transaction(local.place.tenant_id) as connection:
        outbox.queue(tools, connection, local.place.tenant_id, items)
    local.run_due(seconds=1)
    assert 1 <= len(graph.asked) <= 32
    assert local.pauses() == ("token", None)
    assert local.run_due(minutes=5) == {}
    assert {row["phase"] for row in local.place.rows("send_attempts")} == {"pending"}


def test_a_message_that_meta_holds_back_says_so_until_a_status_comes(
    local: Service, graph: GraphServer
) -> None:
    for word, held in (
        ("accepted", False),
        ("held_for_quality_assessment", True),
        ("paused", True),
    ):
        graph.answer = partial(_accept_as, graph, word)
        _, made = local.post(local.place.person().phone)
        assert made["status"] == "accepted"
        assert local.get(made["id"])["held"] is held
        local.place.everything.execute(
            "update messaging.whatsapp_messages set status = 'sent', status_rank = 60"
            " where id = %s",
            (made["id"],),
        )
        assert local.get(made["id"])["held"] is False


def _accept_as(graph: GraphServer, word: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
    status, document = graph.accept(path, body)
    document["messages"][0]["message_status"] = word
    return status, document


def test_an_accepted_message_asks_for_no_consequences(
    local: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consequences, "_apply", lambda *_: pytest.fail("asked"))
    assert local.post()[0] == 200


def test_a_database_that_is_lost_after_the_settle_costs_the_caller_nothing(
    local: Service, graph: GraphServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    def lost(*_: Any) -> Any:
        raise psycopg.OperationalError("gone")

    graph.answer = lambda _path, _body: (401, DEAD)
    with monkeypatch.context() as patch:
        patch.setattr(consequences, "_apply", lost)
        assert local.post()[0] == 202
    assert local.pauses() == (None, None)
    # The next answer says it again.
    local.run_due(seconds=10)
    assert local.pauses() == ("token", None)
