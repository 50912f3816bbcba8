"""Calls and orders on the simulator: who may call, what rings, what its webhooks tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from local.simulator.orders import price_of
from switchboard.whatsapp import calls
from switchboard.whatsapp.client import GraphClient, Rejected, Throttled
from switchboard.whatsapp.webhook import parse
from switchboard.whatsapp.webhook.items import Malformed, Unhandled
from tests.simulator_run import FIRST, SECOND, THIRD, Json, Simulator

SDP = "v=0\r\no=- 7 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
DAY = 24 * 3600
ANA = "525550001234"
REQUEST: Json = {
    "type": "interactive",
    "interactive": {
        "type": "call_permission_request",
        "action": {"name": "call_permission_request"},
    },
}


@pytest.fixture
def client(meta: Simulator) -> Iterator[GraphClient]:
    client = GraphClient(meta.url, "v23.0")
    yield client
    client.close()


def do(meta: Simulator, deed: str, who: str = "ana", status: int = 201, **more: Any) -> Json:
    document = {"phone_number_id": FIRST.phone_number_id, "do": deed, **more}
    answer = meta.http.post(f"/simulator/phone/{who}/calls", json=document)
    assert answer.status_code == status, answer.text
    shown: Json = answer.json()
    return shown


def allow(meta: Simulator, **how: Any) -> None:
    meta.sent(body=REQUEST)
    meta.play("ana", type="call_permission", response="accept", **how)


def ring(client: GraphClient, to: str = ANA) -> Any:
    return calls.connect(
        client,
        FIRST.phone_number_id,
        FIRST.access_token,
        to=to,
        is_user_id=not to.isdigit(),
        sdp=SDP,
        key="k1",
    )


def act(client: GraphClient, verb: Any, call_id: str, sdp: str | None = None) -> Any:
    return calls.act(client, FIRST.phone_number_id, FIRST.access_token, verb, call_id, sdp=sdp)


def told(meta: Simulator) -> list[Json]:
    """Every part of a call so far; each is what Switchboard's own reader takes for an event."""
    assert meta.flush() == 0
    found = []
    for received in meta.backend.received:
        assert not any(isinstance(item, Malformed | Unhandled) for item in parse(received.body))
        for entry in received.document["entry"]:
            for change in entry["changes"]:
                if change["field"] == "calls":
                    assert entry["id"] == FIRST.waba_id
                    value = change["value"]
                    assert value["metadata"]["phone_number_id"] == FIRST.phone_number_id
                    found += [*value.get("calls", []), *value.get("statuses", [])]
    return found


def words(meta: Simulator) -> list[str]:
    return [part.get("event") or part["status"] for part in told(meta)]


def code_of(outcome: Any) -> int | None:
    assert isinstance(outcome, Rejected | Throttled)
    return outcome.code


class TestPermission:
    def ask(self, client: GraphClient, to: str = ANA) -> Any:
        return calls.ask_permission(
            client,
            FIRST.phone_number_id,
            FIRST.access_token,
            to=to,
            is_user_id=not to.isdigit(),
        )

    def test_nobody_may_be_called_without_one(self, meta: Simulator, client: GraphClient) -> None:
        assert self.ask(client).status == "no"
        assert self.ask(client).word == "no_permission"
        assert code_of(ring(client)) == 138006
        assert told(meta) == []

    def test_it_lasts_a_week_or_for_good_and_ends_with_a_refusal(
        self, meta: Simulator, client: GraphClient
    ) -> None:
        allow(meta)
        shown = self.ask(client)
        assert (shown.status, int(shown.expires_at.timestamp())) == (
            *("temporary",),
            int(meta.clock()) + 7 * DAY,
        )
        meta.clock.ahead += 7 * DAY + 1
        assert self.ask(client).status == "no"
        assert code_of(ring(client)) == 138006
        allow(meta, is_permanent=True)
        assert self.ask(client) == calls.Permission(
            "permanent", "permanent", None, self.ask(client).actions
        )
        meta.play("ana", type="call_permission", response="reject")
        assert self.ask(client).status == "no"

    def test_what_may_be_done_is_told_with_its_limits(
        self, meta: Simulator, client: GraphClient
    ) -> None:
        asking, calling = self.ask(client).actions
        assert (asking["can_perform_action"], calling["can_perform_action"]) == (True, False)
        allow(meta)
        asking, calling = self.ask(client).actions
        assert (asking["can_perform_action"], calling["can_perform_action"]) == (False, True)
        assert asking["limits"] == [
            {"time_period": "PT24H", "max_allowed": 1, "current_usage": 1},
            {"time_period": "P7D", "max_allowed": 2, "current_usage": 1},
        ]
        ring(client)
        assert self.ask(client).actions[1]["limits"][0]["current_usage"] == 1

    def test_once_a_day_and_twice_a_week_and_a_talk_begins_anew(
        self, meta: Simulator, client: GraphClient
    ) -> None:
        def asked() -> int:
            answer = meta.send(body=REQUEST)
            return 0 if answer.status_code == 200 else int(answer.json()["error"]["code"])

        assert [asked(), asked()] == [0, 138009]
        meta.clock.ahead += DAY + 1
        meta.play("ana", text="hello")
        assert [asked(), asked()] == [0, 138009]
        meta.clock.ahead += DAY + 1
        meta.play("ana", text="hello")
        assert asked() == 138009  # twice in seven days
        meta.play("ana", type="call_permission", response="accept")
        ring(client)
        do(meta, "accept")
        do(meta, "hang_up")
        meta.clock.ahead += 1
        assert asked() == 0
        meta.play("ana", type="call_permission", response="accept", is_permanent=True)
        meta.clock.ahead += DAY + 1
        assert asked() == 138017

    def test_five_questions_a_second(self, meta: Simulator, client: GraphClient) -> None:
        for _ in range(5):
            assert isinstance(self.ask(client), calls.Permission)
        assert code_of(self.ask(client)) == 613
        meta.clock.ahead += 1
        assert isinstance(self.ask(client), calls.Permission)

    def test_a_call_of_a_person_allows_one_back_where_the_number_says_so(
        self, meta: Simulator, client: GraphClient
    ) -> None:
        do(meta, "call", "mei")
        do(meta, "hang_up", "mei")
        assert self.ask(client, "SG.134921770815460").status == "no"
        set_calling(meta, callback_permission_status="ENABLED")
        call = do(meta, "call", "mei")
        assert self.ask(client, "SG.134921770815460").status == "temporary"
        meta.flush()
        (reply,) = meta.backend.messages()
        assert reply["context"]["id"] == call["id"]
        said = reply["interactive"]["call_permission_reply"]
        assert said["response_source"] == "automatic"


def set_calling(meta: Simulator, **calling: Any) -> httpx.Response:
    return meta.http.post(
        f"/v23.0/{FIRST.phone_number_id}/settings",
        headers={"Authorization": f"Bearer {FIRST.access_token}"},
        json={"calling": calling},
    )


class TestOfTheBusiness:
    def test_it_rings_and_is_taken_and_ended(self, meta: Simulator, client: GraphClient) -> None:
        allow(meta)
        call_id = ring(client)
        assert call_id.startswith("wacid.")
        meta.clock.ahead += 5
        do(meta, "accept")
        meta.clock.ahead += 60
        assert act(client, "terminate", call_id) is None
        ringing, connect, accepted, terminate = told(meta)
        assert [ringing["status"], accepted["status"]] == ["RINGING", "ACCEPTED"]
        assert ringing["recipient_id"] == "5215550001234"
        assert ringing["type"] == "call"
        assert connect["session"]["sdp_type"] == "answer"
        assert calls.sdp_fault(connect["session"]["sdp"]) is None
        assert (connect["direction"], connect["to"], connect["from"]) == (
            *("BUSINESS_INITIATED", "5215550001234"),
            FIRST.display_phone_number,
        )
        assert (terminate["status"], terminate["duration"]) == ("COMPLETED", 60)
        assert int(terminate["end_time"]) - int(terminate["start_time"]) == 60
        keys = [p.get("biz_opaque_callback_data") for p in (ringing, accepted, terminate)]
        assert keys == ["k1"] * 3
        assert {part["id"] for part in told(meta)} == {call_id}

    @pytest.mark.parametrize(
        ("deed", "states"),
        [
            ("decline", ["RINGING", "REJECTED", "terminate"]),
            ("miss", ["RINGING", "terminate"]),
        ],
    )
    def test_it_is_declined_or_missed(
        self, meta: Simulator, client: GraphClient, deed: str, states: list[str]
    ) -> None:
        allow(meta)
        call_id = ring(client)
        assert code_of(ring(client)) == 138003
        do(meta, deed)
        assert words(meta) == states
        last = told(meta)[-1]
        assert (last["status"], "duration" in last) == ("FAILED", False)
        assert code_of(act(client, "terminate", call_id)) == 138004
        assert isinstance(ring(client), str)

    def test_only_what_rings_is_taken(self, meta: Simulator, client: GraphClient) -> None:
        for deed in ("accept", "decline", "miss", "hang_up"):
            do(meta, deed, status=422)
        allow(meta)
        call_id = ring(client)
        for verb in ("accept", "pre_accept", "reject"):
            sdp = None if verb == "reject" else SDP
            assert code_of(act(client, verb, call_id, sdp)) == 138004
        do(meta, "accept")
        do(meta, "decline", status=422)

    def test_wrong_requests_are_refused(self, meta: Simulator, client: GraphClient) -> None:
        allow(meta)

        def post(body: Json, number: Any = FIRST) -> int:
            answer = meta.http.post(
                f"/v23.0/{number.phone_number_id}/calls",
                headers={"Authorization": f"Bearer {FIRST.access_token}"},
                json={"messaging_product": "whatsapp", **body},
            )
            assert answer.status_code >= 400
            return int(answer.json()["error"]["code"])

        offer = {"sdp_type": "offer", "sdp": SDP}
        start = {"action": "connect", "to": ANA, "session": offer}
        assert post({**start, "session": {**offer, "sdp_type": "answer"}}) == 100
        assert post({**start, "session": {**offer, "sdp": "hello"}}) == 100
        assert post({"action": "connect", "to": ANA}) == 131008
        assert post({"action": "connect", "session": offer}) == 131008
        assert post({**start, "to": "me"}) == 131009
        assert post({**start, "to": FIRST.display_phone_number}) == 131021
        assert post({**start, "action": "dance"}) == 100
        assert post({**start, "messaging_product": "x"}) == 100
        assert post({"action": "terminate", "call_id": "wacid.nobody"}) == 138004
        assert post(start, THIRD) == 100  # another account's number
        call_id = ring(client)
        assert post({"action": "terminate", "call_id": call_id}, SECOND) == 138004

    def test_a_number_that_is_switched_off_calls_nobody(
        self, meta: Simulator, client: GraphClient
    ) -> None:
        allow(meta)
        assert set_calling(meta, status="OFF").status_code == 400
        assert set_calling(meta, colour="red").status_code == 400
        assert set_calling(meta, status="DISABLED").json() == {"success": True}
        assert code_of(ring(client)) == 138000
        do(meta, "call", status=422)
        read = meta.http.get(
            f"/v23.0/{FIRST.phone_number_id}/settings",
            headers={"Authorization": f"Bearer {FIRST.access_token}"},
        )
        assert read.json() == {"calling": {"status": "DISABLED"}}


class TestOfThePerson:
    def test_it_is_set_up_taken_and_hung_up(self, meta: Simulator, client: GraphClient) -> None:
        call = do(meta, "call")
        do(meta, "call", status=422)
        assert act(client, "pre_accept", call["id"], SDP) is None
        assert act(client, "accept", call["id"], SDP) is None
        assert code_of(act(client, "accept", call["id"], SDP)) == 138004
        meta.clock.ahead += 9
        do(meta, "hang_up")
        connect, terminate = told(meta)
        assert (connect["event"], connect["direction"]) == ("connect", "USER_INITIATED")
        assert (connect["from"], connect["to"]) == ("5215550001234", FIRST.display_phone_number)
        assert connect["session"]["sdp_type"] == "offer"
        assert calls.sdp_fault(connect["session"]["sdp"]) is None
        assert (terminate["status"], terminate["duration"]) == ("COMPLETED", 9)
        listed = meta.http.get("/simulator/phone/ana/calls").json()["calls"]
        assert [(one["id"], one["state"]) for one in listed] == [(call["id"], "completed")]

    def test_it_is_rejected(self, meta: Simulator, client: GraphClient) -> None:
        call = do(meta, "call")
        assert act(client, "reject", call["id"]) is None
        assert words(meta) == ["connect", "terminate"]
        assert told(meta)[-1]["status"] == "FAILED"

    def test_a_call_button_carries_its_payload_and_a_call_opens_the_window(
        self, meta: Simulator
    ) -> None:
        parameters = {"display_text": "Call us", "payload": "btn-1"}
        button = {"name": "voice_call", "parameters": parameters}
        wamid = meta.sent(
            body={
                "type": "interactive",
                "interactive": {
                    "type": "voice_call",
                    "body": {"text": "Call"},
                    "action": button,
                },
            }
        )
        window = {"phone_number_id": FIRST.phone_number_id, "open": False}
        meta.http.post("/simulator/phone/ana/window", json=window)
        do(meta, "call", reply_to=wamid)
        assert told(meta)[0]["cta_payload"] == "btn-1"
        assert meta.flush() == 0
        sent = meta.sent()
        meta.flush()
        assert "delivered" in meta.backend.words(sent)

    def test_calls_survive_a_reset_of_nothing_else(self, meta: Simulator) -> None:
        do(meta, "call")
        assert len(meta.http.get("/simulator/state").json()["phone_calls"]) == 1
        meta.http.post("/simulator/reset")
        assert meta.http.get("/simulator/state").json()["phone_calls"] == []


class TestOrders:
    def offer(self, meta: Simulator, kind: str, action: Json) -> str:
        content: Json = {"type": kind, "body": {"text": "Look"}, "action": action}
        if kind == "product_list":
            content["header"] = {"type": "text", "text": "Ours"}
        return meta.sent(body={"type": "interactive", "interactive": content})

    def test_products_of_a_message_are_ordered_at_their_prices(self, meta: Simulator) -> None:
        items = [{"product_retailer_id": "sku-1"}, {"product_retailer_id": "sku-2"}]
        sections = [{"title": "All", "product_items": items}]
        wamid = self.offer(meta, "product_list", {"catalog_id": "77", "sections": sections})
        wanted = [{"product_retailer_id": "sku-2", "quantity": 3}]
        meta.play("ana", type="order", items=wanted, text="gift-wrap, please")
        meta.flush()
        (message,) = meta.backend.messages()
        (item,) = message["order"].pop("product_items")
        assert (message["type"], message["context"]["id"]) == ("order", wamid)
        assert message["order"] == {"catalog_id": "77", "text": "gift-wrap, please"}
        price = item.pop("item_price")
        assert 5 <= price < 100
        written = [Decimal(json.dumps(price_of(f"sku-{n}"))) for n in range(500)]
        assert all(one == round(one, 2) for one in written)
        assert item == {"product_retailer_id": "sku-2", "quantity": 3, "currency": "USD"}
        assert meta.shown("ana")[-1]["preview"] == "🛒 Order of 3"

    def test_of_a_catalogue_anything_is_ordered_and_of_a_product_only_that(
        self, meta: Simulator
    ) -> None:
        def order(product: str, reply_to: str) -> int:
            document = {
                "phone_number_id": FIRST.phone_number_id,
                "type": "order",
                "items": [{"product_retailer_id": product}],
                "reply_to": reply_to,
            }
            return meta.http.post("/simulator/phone/ana/messages", json=document).status_code

        whole = self.offer(meta, "catalog_message", {"name": "catalog_message"})
        one = self.offer(meta, "product", {"catalog_id": "77", "product_retailer_id": "sku-1"})
        assert [order("anything", whole), order("sku-1", one)] == [201, 201]
        assert [order("sku-2", one), order("sku-1", meta.sent())] == [422, 422]

    def test_a_question_about_a_product_names_it(self, meta: Simulator) -> None:
        wamid = self.offer(meta, "product", {"catalog_id": "77", "product_retailer_id": "sku-1"})
        meta.play("ana", type="inquiry", product_retailer_id="sku-1", text="still there?")
        meta.flush()
        (message,) = meta.backend.messages()
        assert message["text"] == {"body": "still there?"}
        assert message["context"]["id"] == wamid
        assert message["context"]["referred_product"] == {
            "catalog_id": "77",
            "product_retailer_id": "sku-1",
        }
