"""POST and GET /v1/messages and direct invocation, with real events and a Graph on a socket."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.send_message import app
from switchboard import outbox
from switchboard.kernel.clock import Clock
from switchboard.tools import Tools
from tests.databases import ClonedDatabase
from tests.functions.graph_server import GraphServer, serving
from tests.sending import Place, World, deliver, poll, status_body

Made = dict[str, Any]


class Service:
    """The function, called as API Gateway calls it."""

    def __init__(self, world: World, graph: GraphServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.graph = graph
        self.place = world.place()
        self._monkeypatch = monkeypatch
        self.use()

    def use(self, **settings: Any) -> Tools:
        """Let the function run with these settings."""
        made = self.world.tools(Clock(), graph_url=self.graph.url, **settings)
        self._monkeypatch.setattr(app, "tools", lambda: made)
        return made

    def post(
        self,
        body: Any,
        *,
        key: str | None = None,
        idempotency_key: str | None = None,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
    ) -> tuple[int, Made]:
        """POST /v1/messages and return the status and the document."""
        sent = {"content-type": "application/json", **(headers or {})}
        if headers is None:
            sent["authorization"] = f"Bearer {key or self.place.key}"
        if idempotency_key is not None:
            sent["idempotency-key"] = idempotency_key
        text = body if isinstance(body, str) else json.dumps(body)
        made = event("POST /v1/messages", text, sent)
        if query is not None:
            made["queryStringParameters"] = query
        return self.call(made)

    def get(self, message_id: str, *, key: str | None = None) -> tuple[int, Made]:
        """GET /v1/messages/{id}."""
        made = event(
            "GET /v1/messages/{id}", None, {"authorization": f"Bearer {key or self.place.key}"}
        )
        made["pathParameters"] = {"id": message_id}
        return self.call(made)

    def call(self, made: Made) -> tuple[int, Made]:
        response = app.handler(made, None)
        self.headers = response["headers"]
        return response["statusCode"], json.loads(response["body"])

    def text(self, to: str, body: str = "hello", place: Place | None = None, **more: Any) -> Made:
        """Return the body of a request."""
        return {
            "from": (place or self.place).phone_number_id,
            "to": to,
            "message": {"type": "text", "text": {"body": body}},
            **more,
        }


def event(route: str, body: str | None, headers: dict[str, str]) -> Made:
    """Return an event of API Gateway's HTTP API, payload 2.0."""
    method, path = route.split(" ")
    return {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {"http": {"method": method, "path": path}, "requestId": "r"},
        "body": body,
        "isBase64Encoded": False,
    }


@pytest.fixture
def graph() -> Iterator[GraphServer]:
    with serving() as server:
        yield server


@pytest.fixture
def service(
    database: ClonedDatabase, graph: GraphServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    with closing(World(database)) as world:
        yield Service(world, graph, monkeypatch)


def test_a_text_goes_to_meta_and_the_caller_gets_its_id(service: Service) -> None:
    person = service.place.person("4915112345678")
    status, made = service.post(service.text("+4915112345678"))
    assert status == 200
    assert made["status"] == "accepted"
    assert made["wa_message_id"] == f"wamid.{made['id']}.1"
    assert made["decision"]["verdict"] == "allowed"
    assert service.graph.asked == [
        {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": "+4915112345678",
            "type": "text",
            "text": {"body": "hello"},
            "biz_opaque_callback_data": f"{made['id']}.1",
        }
    ]
    assert service.graph.paths == [f"/v23.0/{service.place.phone_number_id}/messages"]
    assert service.graph.tokens == [f"Bearer token-{service.place.phone_number_id}"]
    row = service.place.message(made["id"])
    assert (row["status"], row["direction"], row["origin"]) == ("accepted", "outbound", "api")
    assert row["content"] == {"body": "hello"}
    assert row["conversation_id"] == person.conversation_id
    (log,) = service.place.rows("delivery_logs")
    assert (log["status"], log["attempt"], log["recipient"]) == ("accepted", 1, "4915112345678")
    assert service.place.rows("send_attempts") == []
    (key,) = service.place.rows("message_keys")
    assert str(key["message_id"]) == made["id"]
    (conversation,) = service.place.rows("whatsapp_conversations")
    assert conversation["last_message_preview"] == "hello"
    assert conversation["last_message_direction"] == "outbound"
    assert conversation["message_count"] == 1


@pytest.mark.parametrize(
    "message",
    [
        {"type": "image", "image": {"link": "https://example.org/a.png", "caption": "a"}},
        {"type": "reaction", "reaction": {"message_id": "wamid.IN", "emoji": "👍"}},
        {"type": "text", "text": {"body": "yes"}, "context": {"message_id": "wamid.IN"}},
        {"type": "text", "text": {"body": "x"}, "recipient_identity_key_hash": "Zm9v"},
    ],
)
def test_every_type_reaches_meta_as_it_was_given(service: Service, message: Made) -> None:
    service.place.person("4915112345678")
    body = {"from": service.place.phone_number_id, "to": "4915112345678", "message": message}
    status, made = service.post(body)
    assert status == 200
    (asked,) = service.graph.asked
    assert {key: asked[key] for key in message} == message
    row = service.place.message(made["id"])
    assert row["message_type"] == message["type"]
    assert row["content"] == message[message["type"]]
    assert row["wa_context_id"] == message.get("context", {}).get("message_id")


PAYLOADS = sorted((Path(__file__).resolve().parents[1] / "payloads" / "outbound").glob("*.json"))


def test_every_body_of_the_payload_files_is_stored_and_reaches_meta_whole(service: Service) -> None:
    for number, path in enumerate(PAYLOADS, start=4915112345000):
        person = service.place.person(str(number))
        body = json.loads(path.read_bytes())
        added = {"messaging_product", "recipient_type", "to", "recipient"}
        message = {key: body[key] for key in body.keys() - added - {"biz_opaque_callback_data"}}
        status, made = service.post(
            {
                "from": service.place.phone_number_id,
                "to": str(number),
                "message": message,
                "category": "utility",
            }
        )
        assert (path.name, status, made["status"]) == (path.name, 200, "accepted")
        asked = service.graph.asked[-1]
        assert asked.pop("biz_opaque_callback_data") == f"{made['id']}.1"
        if path.stem == "interactive_flow_by_name":
            # Its one addition: the token of its session, which the caller has not given.
            token = asked["interactive"]["action"]["parameters"]["flow_token"]
            message["interactive"]["action"]["parameters"]["flow_token"] = token
        assert asked == {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": f"+{number}",
            **message,
        }
        row = service.place.message(made["id"])
        assert (row["message_type"], row["content"]) == (
            message["type"],
            message[message["type"]],
        )
        assert row["conversation_id"] == person.conversation_id


def test_an_inbox_shows_what_an_interactive_message_asks(service: Service) -> None:
    service.place.person("4915112345678")
    buttons = [{"type": "reply", "reply": {"id": "ok", "title": "OK"}}]
    content = {"type": "button", "body": {"text": "When?"}, "action": {"buttons": buttons}}
    message = {"type": "interactive", "interactive": content}
    service.post({"from": service.place.phone_number_id, "to": "4915112345678", "message": message})
    (conversation,) = service.place.rows("whatsapp_conversations")
    assert conversation["last_message_preview"] == "When?"


def test_a_text_of_doubtful_length_goes_out_and_the_caller_is_warned(service: Service) -> None:
    service.place.person("4915112345678")
    status, made = service.post(service.text("4915112345678", "🙂" * 4_096))
    assert status == 200
    assert made["decision"]["warnings"] == [
        "message.text.body has 8192 UTF-16 units, and the strictest limit known is 4096"
    ]
    status, made = service.post(service.text("4915112345678", "🙂" * 4_097))
    assert status == 422
    assert made["field"] == "message.text.body"
    assert (made["errors"][0]["limit"], made["errors"][0]["length"]) == (4_096, 4_097)
    assert len(service.graph.asked) == 1


def test_a_type_of_tomorrow_passes_with_a_warning(service: Service) -> None:
    service.place.person("4915112345678")
    message = {"type": "hologram", "hologram": {"id": "1", "spin": True}}
    status, made = service.post(
        {"from": service.place.phone_number_id, "to": "4915112345678", "message": message}
    )
    assert status == 200
    assert "hologram" in made["decision"]["warnings"][0]
    assert service.graph.asked[0]["hologram"] == {"id": "1", "spin": True}


def test_a_contact_is_reached_by_its_id(service: Service) -> None:
    person = service.place.person("4915112345678")
    status, _ = service.post(service.text(str(person.contact_id)))
    assert status == 200
    assert service.graph.asked[0]["to"] == "+4915112345678"


def test_a_contact_without_a_phone_is_reached_by_its_user_id(service: Service) -> None:
    person = service.place.person("4915112345678")
    service.world.everything.execute(
        "update messaging.contact_identifiers set kind = 'user_id', value = 'MX.9001'"
        " where contact_id = %s",
        (person.contact_id,),
    )
    status, _ = service.post(service.text(str(person.contact_id)))
    assert status == 200
    assert service.graph.asked[0]["recipient"] == "MX.9001"
    assert "to" not in service.graph.asked[0]


def test_mexicos_two_forms_are_one_person(service: Service) -> None:
    person = service.place.person("525550001234")
    status, made = service.post(service.text("5215550001234"))
    assert status == 200
    assert service.place.message(made["id"])["contact_id"] == person.contact_id
    assert service.graph.asked[0]["to"] == "+5215550001234"


def test_the_form_that_meta_tells_names_the_person_from_then_on(service: Service) -> None:
    person = service.place.person("5491150001234")
    service.graph.answer = lambda _, body: (
        200,
        {
            "contacts": [{"input": body["to"], "wa_id": "541150001234"}],
            "messages": [{"id": "wamid.1"}],
        },
    )
    status, _ = service.post(service.text("5491150001234"))
    assert status == 200
    told = service.place.rows("contact_identifiers", value="541150001234")
    assert [row["contact_id"] for row in told] == [person.contact_id]


def test_outside_the_window_free_form_is_denied_with_a_hint_and_kept(service: Service) -> None:
    service.place.person("4915112345678", window=-1)
    status, made = service.post(service.text("4915112345678"))
    assert status == 422
    assert service.headers["content-type"] == "application/problem+json"
    assert made["decision"]["reason"] == "window_closed"
    assert "template" in made["detail"]
    assert service.graph.asked == []
    row = service.place.message(made["id"])
    assert row["status"] == "denied"
    assert row["decision"][0]["gates"]["window"] == "window_closed"
    assert service.place.rows("send_attempts") == []
    (conversation,) = service.place.rows("whatsapp_conversations")
    assert conversation["message_count"] == 0
    assert service.get(made["id"])[1]["status"] == "denied"


def test_a_stranger_is_denied_but_becomes_a_contact(service: Service) -> None:
    status, made = service.post(service.text("+34600000001"))
    assert status == 422
    row = service.place.message(made["id"])
    (identifier,) = service.place.rows("contact_identifiers")
    assert (identifier["value"], identifier["contact_id"]) == ("34600000001", row["contact_id"])
    (contact,) = service.place.rows("contacts")
    assert contact["phone_number"] == "+34600000001"


@pytest.mark.parametrize("category", ["utility", "UTILITY", "Utility"])
def test_a_template_needs_no_window(service: Service, category: str) -> None:
    template = {"type": "template", "template": {"name": "hi", "language": {"code": "en"}}}
    body = {"from": service.place.phone_number_id, "to": "34600000001", "message": template}
    status, made = service.post({**body, "category": category})
    assert status == 200
    assert made["decision"]["kind"] == "utility"
    assert service.post(body)[1]["decision"]["kind"] == "marketing"


def test_marketing_cannot_be_urgent(service: Service) -> None:
    template = {"type": "template", "template": {"name": "hi", "language": {"code": "en"}}}
    status, made = service.post(
        {
            "from": service.place.phone_number_id,
            "to": "34600000001",
            "message": template,
            "urgent": True,
        }
    )
    assert (status, made["field"]) == (422, "urgent")


def test_a_blocked_contact_gets_nothing(service: Service) -> None:
    person = service.place.person("4915112345678")
    service.world.everything.execute(
        "update messaging.contacts set is_blocked = true where id = %s", (person.contact_id,)
    )
    status, made = service.post(service.text("4915112345678"))
    assert (status, made["decision"]["reason"]) == (422, "contact_blocked")


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"is_active": False}, "number_inactive"),
        ({"status": "suspended"}, "number_suspended"),
        ({"status": "disconnected"}, "number_disconnected"),
        ({"access_token_sealed": None}, "token_missing"),
    ],
)
def test_a_number_that_cannot_send_denies(service: Service, columns: Made, reason: str) -> None:
    service.place.person("4915112345678")
    service.place.set_number(**columns)
    status, made = service.post(service.text("4915112345678"))
    assert (status, made["decision"]["reason"]) == (422, reason)
    assert service.graph.asked == []


def test_a_disabled_business_account_disables_its_numbers(service: Service) -> None:
    service.place.person("4915112345678")
    service.world.everything.execute(
        "update messaging.whatsapp_business_accounts set is_active = false where tenant_id = %s",
        (service.place.tenant_id,),
    )
    status, made = service.post(service.text("4915112345678"))
    assert (status, made["decision"]["reason"]) == (422, "number_inactive")


def test_a_stopped_number_keeps_messages_until_the_stop_is_lifted(service: Service) -> None:
    service.place.person("4915112345678")
    service.place.set_number(sends_stopped_at=service.place.time.now)
    status, made = service.post(service.text("4915112345678"))
    assert (status, made["status"], made["decision"]["reason"]) == (202, "pending", "stopped")
    tools = service.use()
    assert not outbox.run_due(tools, tools.clock.monotonic() + 60)
    service.place.set_number(sends_stopped_at=None)
    assert outbox.run_due(tools, tools.clock.monotonic() + 60) == {"accepted": 1}
    assert service.get(made["id"])[1]["status"] == "accepted"
    assert [entry["verdict"] for entry in service.get(made["id"])[1]["decisions"]] == [
        "deferred",
        "allowed",
    ]


def test_staging_sends_to_its_allow_list_only(service: Service) -> None:
    service.place.person("4915112345678")
    service.place.person("4915100000000")
    service.use(recipient_allow_list="+4915112345678")
    assert service.post(service.text("4915112345678"))[0] == 200
    status, made = service.post(service.text("4915100000000"))
    assert (status, made["decision"]["reason"]) == (422, "recipient_not_allowed")


def test_what_meta_refuses_is_a_502_and_kept_as_failed(service: Service) -> None:
    service.place.person("4915112345678")
    service.graph.answer = lambda *_: (
        400,
        {"error": {"code": 131009, "message": "no", "error_data": {"details": "Bad value"}}},
    )
    status, made = service.post(service.text("4915112345678"))
    assert status == 502
    assert made["detail"] == "Bad value"
    assert made["error"]["code"] == 131009
    shown = service.get(made["id"])[1]
    assert (shown["status"], shown["error_code"]) == ("failed", "131009")
    assert shown["errors"][0]["details"] == "Bad value"
    assert "failed_at" in shown["timestamps"]


def test_a_throttled_message_waits_and_goes_out_later(service: Service) -> None:
    service.place.person("4915112345678")
    service.graph.answer = lambda *_: (400, {"error": {"code": 130429, "message": "slow"}})
    status, made = service.post(service.text("4915112345678"))
    assert (status, made["status"]) == (202, "pending")
    service.graph.answer = service.graph.accept
    later = service.world.tools(
        Clock(now=service.place.time.now + timedelta(minutes=20)), graph_url=service.graph.url
    )
    assert outbox.run_due(later, later.clock.monotonic() + 60) == {"accepted": 1}
    assert [body["biz_opaque_callback_data"] for body in service.graph.asked] == [
        f"{made['id']}.1"
    ] * 2
    assert service.place.message(made["id"])["retry_count"] == 1


def test_an_unknown_outcome_is_a_202_and_never_sent_again(service: Service) -> None:
    service.place.person("4915112345678")
    service.graph.answer = lambda *_: (502, b"<html>")
    status, made = service.post(service.text("4915112345678"))
    assert (status, made["status"]) == (202, "unconfirmed")
    later = service.world.tools(
        Clock(now=service.place.time.now + timedelta(hours=1)), graph_url=service.graph.url
    )
    assert outbox.sweep(later) == {"undetermined": 1}
    assert not outbox.run_due(later, later.clock.monotonic() + 60)
    assert len(service.graph.asked) == 1
    shown = service.get(made["id"])[1]
    assert shown["status"] == "undetermined"
    (log,) = service.place.rows("delivery_logs")
    assert log["status"] == "unconfirmed"


def test_a_status_settles_an_unknown_outcome(service: Service) -> None:
    service.place.person("4915112345678")
    service.graph.answer = lambda *_: (502, b"<html>")
    _, made = service.post(service.text("4915112345678"))
    tools = service.use()
    now = service.place.time.now
    deliver(
        tools,
        status_body(service.place, "wamid.X", f"{made['id']}.1", ("sent", now), ("delivered", now)),
    )
    outbox.sweep(tools)
    shown = service.get(made["id"])[1]
    assert (shown["status"], shown["wa_message_id"]) == ("delivered", "wamid.X")
    (log,) = service.place.rows("delivery_logs")
    assert log["status"] == "delivered"


def test_one_key_sends_once_and_replays_the_answer_whole(service: Service) -> None:
    service.place.person("4915112345678")
    body = service.text("4915112345678")
    first = service.post(body, idempotency_key="order-7")
    second = service.post(body, idempotency_key="order-7")
    assert first == second
    assert first[0] == 200
    assert len(service.graph.asked) == 1
    status, made = service.post(service.text("4915112345678", "another"), idempotency_key="order-7")
    assert (status, made["status"]) == (409, 409)
    assert len(service.graph.asked) == 1


def test_a_denial_and_a_refusal_are_replayed_too(service: Service) -> None:
    service.place.person("4915112345678", window=-1)
    body = service.text("4915112345678")
    assert service.post(body, idempotency_key="a") == service.post(body, idempotency_key="a")
    service.place.person("4915112345679")
    service.graph.answer = lambda *_: (400, {"error": {"code": 131009, "message": "no"}})
    refused = service.post(service.text("4915112345679"), idempotency_key="b")
    assert refused[0] == 502
    assert service.post(service.text("4915112345679"), idempotency_key="b") == refused
    assert len(service.graph.asked) == 1


def test_the_key_of_one_tenant_is_free_for_another(service: Service) -> None:
    other = service.world.place()
    for place in (service.place, other):
        place.person("4915112345678")
    for place in (service.place, other):
        status, _ = service.post(
            service.text("4915112345678", place=place), key=place.key, idempotency_key="same"
        )
        assert status == 200
    assert len(service.graph.asked) == 2


def test_a_key_is_free_again_after_seven_days(service: Service) -> None:
    service.place.person("4915112345678")
    body = service.text("4915112345678")
    first = service.post(body, idempotency_key="k")[1]
    service.world.everything.execute(
        "update messaging.idempotency_keys set expires_at = expires_at - interval '7 days'"
    )
    assert service.post(body, idempotency_key="k")[1]["id"] != first["id"]


def test_keys_are_forgotten_when_their_days_are_over(service: Service) -> None:
    service.place.person("4915112345678")
    service.post(service.text("4915112345678"), idempotency_key="k")
    outbox.sweep(service.use())
    assert len(service.place.rows("idempotency_keys")) == 1
    outbox.sweep(service.world.tools(Clock(now=service.place.time.now + timedelta(days=8))))
    assert service.place.rows("idempotency_keys") == []


def test_while_the_first_request_runs_the_second_is_told_to_wait(service: Service) -> None:
    service.place.person("4915112345678")
    go = threading.Event()
    accept = service.graph.accept

    def slow(path: str, body: Made) -> tuple[int, Any]:
        assert go.wait(10)
        return accept(path, body)

    service.graph.answer = slow
    body = service.text("4915112345678")
    made = service.world.tools(graph_url=service.graph.url)
    from switchboard.outbox.request import read

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(outbox.send, made, service.place.tenant_id, read(body, key="k"))
        poll(lambda: len(service.graph.asked) == 1)
        status, _ = service.post(body, idempotency_key="k")
        assert (status, service.headers["retry-after"]) == (409, "1")
        go.set()
        assert first.result(10).status == 200
    assert service.post(body, idempotency_key="k")[0] == 200
    assert len(service.graph.asked) == 1


def test_two_messages_to_one_person_go_out_one_after_the_other(service: Service) -> None:
    service.place.person("4915112345678")
    messages = [service.text("4915112345678", str(number)) for number in range(5)]
    made = app.handler({"tenant_id": str(service.place.tenant_id), "messages": messages}, None)
    assert [answer["status"] for answer in made["messages"]] == ["accepted"] * 5
    assert [body["text"]["body"] for body in service.graph.asked] == ["0", "1", "2", "3", "4"]


def test_direct_invocation_sends_many_and_answers_each(service: Service) -> None:
    for number in range(70):
        service.place.person(f"49151000{number:05d}")
    good = [service.text(f"49151000{number:05d}") for number in range(70)]
    bad = [service.text("nobody"), {"from": "1"}, service.text("34600000001")]
    made = app.handler({"tenant_id": str(service.place.tenant_id), "messages": [*good, *bad]}, None)
    codes = [answer["status_code"] for answer in made["messages"]]
    assert codes == [200] * 70 + [422, 422, 422]
    assert made["messages"][70]["field"] == "to"
    assert made["messages"][72]["message_status"] == "denied"
    assert len(service.graph.asked) == 70
    assert len({body["biz_opaque_callback_data"] for body in service.graph.asked}) == 70


def test_direct_invocation_sends_one(service: Service) -> None:
    service.place.person("4915112345678")
    made = app.handler(
        {"tenant_id": str(service.place.tenant_id), **service.text("4915112345678")}, None
    )
    assert (made["status_code"], made["status"]) == (200, "accepted")
    assert app.handler({"tenant_id": "x"}, None)["status_code"] == 400


def test_the_key_of_an_item_counts_in_direct_invocation(service: Service) -> None:
    service.place.person("4915112345678")
    item = service.text("4915112345678", idempotency_key="one")
    call = {"tenant_id": str(service.place.tenant_id), "messages": [item]}
    assert app.handler(call, None) == app.handler(call, None)
    assert len(service.graph.asked) == 1


def test_without_a_valid_key_nothing_is_said_or_done(service: Service) -> None:
    body = service.text("4915112345678")
    for headers in (
        {},
        {"authorization": "Bearer sb_wrong"},
        {"authorization": f"Basic {service.place.key}"},
        {"authorization": "Bearer " + "k" * 1000},
        {"x-api-key": "nothing"},
        {"authorization": "Bearer sb_\udcff"},
    ):
        assert service.post(body, headers=headers)[0] == 401
    service.world.everything.execute("update messaging.api_keys set revoked_at = now()")
    assert service.post(body)[0] == 401
    assert service.place.rows("whatsapp_messages") == []


def test_the_key_may_come_in_its_own_header(service: Service) -> None:
    service.place.person("4915112345678")
    headers = {"X-Api-Key": service.place.key, "authorization": "AWS4-HMAC-SHA256 Credential=x"}
    assert service.post(service.text("4915112345678"), headers=headers)[0] == 200


def test_two_keys_that_differ_are_refused(service: Service) -> None:
    service.place.person("4915112345678")
    key = service.place.key
    for headers in (
        {"authorization": "Bearer sb_wrong", "x-api-key": key},
        {"authorization": f"Bearer {key}", "x-api-key": "sb_wrong"},
    ):
        assert service.post(service.text("4915112345678"), headers=headers)[0] == 401
    assert service.graph.asked == []
    same = {"authorization": f"Bearer {key}", "x-api-key": key}
    assert service.post(service.text("4915112345678"), headers=same)[0] == 200


@pytest.mark.parametrize("key", ["", "  "])
def test_an_empty_idempotency_key_is_refused(service: Service, key: str) -> None:
    service.place.person("4915112345678")
    status, made = service.post(service.text("4915112345678"), idempotency_key=key)
    assert (status, made["field"]) == (400, "idempotency_key")
    assert "Idempotency-Key" in made["detail"]
    assert service.graph.asked == []


@pytest.mark.parametrize("made", [[], None, "text", 7, [{"tenant_id": "x"}]])
def test_direct_invocation_with_no_object_is_refused(service: Service, made: Any) -> None:
    answer = app.handler(made, None)
    assert (answer["status_code"], answer["detail"]) == (400, "the event must be a JSON object")


#: What a send would have written.
WRITTEN = (
    "whatsapp_messages",
    "send_attempts",
    "idempotency_keys",
    "contacts",
    "contact_identifiers",
    "whatsapp_conversations",
    "delivery_logs",
)


def test_a_dry_run_decides_and_leaves_nothing(service: Service) -> None:
    place = service.place
    place.person("4915112345678")
    place.person("4915112345679", window=-1)
    before = {table: place.rows(table) for table in WRITTEN}
    for to, verdict in (
        ("4915112345678", "allowed"),
        ("4915112345679", "denied"),
        ("34600000001", "denied"),
    ):
        status, made = service.post(
            service.text(to), query={"dry_run": "true"}, idempotency_key="k"
        )
        assert (status, made["status"]) == (200, verdict)
        assert set(made) == {"status", "decision"}
        assert made["decision"]["verdict"] == verdict
    place.set_number(sends_stopped_at=place.time.now)
    status, made = service.post(service.text("4915112345678"), query={"dry_run": "true"})
    assert (status, made["status"], made["decision"]["verdict"]) == (200, "deferred", "deferred")
    place.set_number(sends_stopped_at=None)
    assert {table: place.rows(table) for table in WRITTEN} == before
    assert service.graph.asked == []

    # What was tried is decided alike when it is meant, and its key is free.
    told = service.post(service.text("4915112345679"), query={"dry_run": "true"})[1]["decision"]
    meant = service.post(service.text("4915112345679"), idempotency_key="k")
    assert meant[0] == 422
    assert {**meant[1]["decision"], "at": told["at"]} == told


def test_a_dry_run_is_refused_where_a_send_is(service: Service) -> None:
    dry = {"dry_run": "true"}
    service.place.person("4915112345678")
    body = service.text("4915112345678")
    assert service.post({**body, "from": "1"}, query=dry)[0] == 404
    assert service.post({**body, "to": "12"}, query=dry)[0] == 422
    assert service.post(body, query=dry, key=service.place.add_key("messages:read"))[0] == 403
    assert service.post(body, query=dry, headers={})[0] == 401


@pytest.mark.parametrize("value", ["", "1", "True", "yes", "true,true"])
def test_a_dry_run_must_say_true_or_false(service: Service, value: str) -> None:
    service.place.person("4915112345678")
    status, made = service.post(service.text("4915112345678"), query={"dry_run": value})
    assert (status, made["field"]) == (400, "dry_run")
    assert service.graph.asked == []
    assert service.post(service.text("4915112345678"), query={"dry_run": "false"})[0] == 200
    assert len(service.graph.asked) == 1


def test_a_key_without_the_scope_sends_nothing(service: Service) -> None:
    service.place.person("4915112345678")
    reader = service.place.add_key("messages:read")
    assert service.post(service.text("4915112345678"), key=reader)[0] == 403
    assert service.place.rows("whatsapp_messages") == []
    _, made = service.post(service.text("4915112345678"))
    assert service.get(made["id"], key=reader)[0] == 200
    assert service.get(made["id"], key=service.place.add_key("contacts:read"))[0] == 403


def test_another_tenant_sees_and_uses_nothing(service: Service) -> None:
    person = service.place.person("4915112345678")
    _, made = service.post(service.text("4915112345678"))
    stranger = service.world.place()
    assert service.get(made["id"], key=stranger.key)[0] == 404
    assert service.post(service.text("4915112345678"), key=stranger.key) == (
        404,
        {
            "type": "about:blank",
            "title": "Not found",
            "status": 404,
            "detail": "this number is not known",
            "field": "from",
        },
    )
    foreign = service.text(str(person.contact_id), place=stranger)
    assert service.post(foreign, key=stranger.key)[0] == 404
    assert stranger.rows("whatsapp_messages") == []


@pytest.mark.parametrize("message_id", ["01890000-0000-7000-8000-000000000000", "nothing", ""])
def test_an_unknown_message_is_not_found(service: Service, message_id: str) -> None:
    assert service.get(message_id)[0] == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"to": "12345"}, "to"),
        ({"to": "+0491511234"}, "to"),
        ({"to": "1234567890123456"}, "to"),
        ({"to": 4915112345678}, "to"),
        ({"from": ""}, "from"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"expires_at": 1900000000}, "expires_at"),
        ({"expires_at": "1900000000"}, "expires_at"),
        ({"expires_at": "2030-01-31T12:00:00"}, "expires_at"),
        ({"expires_at": "2030-01-31T12:00Z"}, "expires_at"),
        ({"expires_at": "2030-01-31"}, "expires_at"),
        ({"expires_at": "2030-02-31T12:00:00Z"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-01:00"}, "expires_at"),
        ({"expires_at": "0001-01-01T00:00:00+01:00"}, "expires_at"),
        ({"color": "red"}, "color"),
        ({"urgent": "true"}, "urgent"),
        ({"urgent": 1}, "urgent"),
        ({"category": "reply"}, "category"),
        ({"category": "UTILITY "}, "category"),
        ({"category": ""}, "category"),
        ({"category": 1}, "category"),
        ({"metadata": {"$message": 1}}, "metadata"),
        ({"message": {"type": "text", "text": {"body": ""}}}, "message.text.body"),
        ({"message": {"type": "text", "text": {"body": "x" * 4097}}}, "message.text.body"),
        ({"message": {"text": {"body": "x"}}}, "message.type"),
    ],
)
def test_a_bad_field_is_named(service: Service, change: Made, field: str) -> None:
    status, made = service.post({**service.text("4915112345678"), **change})
    assert (status, made["field"]) == (422, field)


@pytest.mark.parametrize(
    ("body", "status"),
    [("", 400), ("{", 400), ("[]", 400), ('"x"', 400), ("x" * 300_000, 413)],
)
def test_an_unreadable_body_is_refused(service: Service, body: str, status: int) -> None:
    assert service.post(body)[0] == status


@pytest.mark.parametrize(
    ("change", "field", "detail"),
    [
        ({"message": {"text": "a\0b"}}, "message", "message holds \\u0000"),
        ({"to": "49\0"}, "to", "to holds \\u0000"),
        ({"metadata": {"a\0": 1}}, "metadata", "metadata holds \\u0000"),
        ({"a\0": 1}, None, "a name holds \\u0000"),
        (
            {"metadata": json.loads('{"a":' * 200 + "1" + "}" * 200)},
            "metadata",
            "metadata is nested deeper than 200 levels",
        ),
    ],
)
def test_what_no_database_holds_is_refused_by_its_field(
    service: Service, change: Made, field: str | None, detail: str
) -> None:
    status, made = service.post({**service.text("4915112345678"), **change})
    assert (status, made.get("field")) == (422, field)
    assert made["detail"] == f"{detail}, which cannot be stored"


@pytest.mark.parametrize("time", ["{}Z", "{}.123456789z", "{}+05:30", "{}-00:00"])
def test_an_end_is_read_as_rfc_3339_writes_it(service: Service, time: str) -> None:
    service.place.person("4915112345678")
    later = service.place.time.now + timedelta(days=2)
    ends = time.format(later.strftime("%Y-%m-%dT%H:%M:%S"))
    assert service.post(service.text("4915112345678", expires_at=ends))[0] == 200
    (row,) = service.place.rows("whatsapp_messages")
    assert row["expires_at"].replace(microsecond=0) == datetime.fromisoformat(ends.upper()).replace(
        microsecond=0
    )


def test_a_body_in_base64_is_read(service: Service) -> None:
    service.place.person("4915112345678")
    made = event(
        "POST /v1/messages",
        base64.b64encode(json.dumps(service.text("4915112345678")).encode()).decode(),
        {"authorization": f"Bearer {service.place.key}"},
    )
    made["isBase64Encoded"] = True
    assert service.call(made)[0] == 200


def test_a_message_past_its_end_is_not_sent(service: Service) -> None:
    service.place.person("4915112345678")
    past = (service.place.time.now - timedelta(seconds=1)).isoformat()
    status, made = service.post(service.text("4915112345678", expires_at=past))
    assert (status, made["decision"]["reason"]) == (422, "expired")


def test_a_waiting_message_expires(service: Service) -> None:
    service.place.person("4915112345678")
    service.place.set_number(sends_stopped_at=service.place.time.now)
    end = (service.place.time.now + timedelta(minutes=5)).isoformat()
    _, made = service.post(service.text("4915112345678", expires_at=end))
    later = service.world.tools(Clock(now=service.place.time.now + timedelta(minutes=6)))
    assert outbox.sweep(later) == {"expired": 1}
    assert service.get(made["id"])[1]["status"] == "expired"
    assert service.place.rows("send_attempts") == []


def test_while_the_database_is_away_the_caller_hears_so(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = service.use()
    tools.db.drop()
    monkeypatch.setattr(tools.db, "_url", lambda fresh: "postgresql://app@127.0.0.1:1/none")
    assert service.post(service.text("4915112345678"))[0] == 503
    assert service.headers["retry-after"] == "5"


def test_metadata_comes_back(service: Service) -> None:
    service.place.person("4915112345678")
    _, made = service.post(service.text("4915112345678", metadata={"order": 7}))
    assert service.get(made["id"])[1]["metadata"] == {"order": 7}


def test_reading_is_marked_and_never_in_the_way(service: Service) -> None:
    tools = service.use()
    place = service.place

    def mark(*, typing: bool = False) -> bool:
        return outbox.mark_read(
            tools,
            tenant_id=place.tenant_id,
            account_id=place.account_id,
            wa_message_id="wamid.I",
            typing=typing,
        )

    assert mark(typing=True)
    assert service.graph.asked == [
        {
            "messaging_product": "whatsapp",
            "status": "read",
            "message_id": "wamid.I",
            "typing_indicator": {"type": "text"},
        }
    ]
    service.graph.answer = lambda *_: (500, b"")
    assert not mark()
    place.set_number(is_active=False)
    assert not mark()
    assert len(service.graph.asked) == 2
