"""The simulated Graph API: what it accepts, what it refuses and in which words."""

from __future__ import annotations

import base64
import re
from typing import Any

import httpx
import pytest

from tests.simulator_run import FIRST, SECOND, THIRD, Simulator

Json = dict[str, Any]
ANA = "5215550001234"


def refusal(answer: httpx.Response) -> tuple[int, int]:
    """HTTP status and Graph code; the body must have Meta's shape."""
    error = answer.json()["error"]
    assert {"message", "type", "code", "fbtrace_id"} <= error.keys()
    return answer.status_code, error["code"]


def test_an_accepted_message_has_metas_answer(meta: Simulator) -> None:
    answer = meta.send()
    assert answer.status_code == 200
    document = answer.json()
    assert document["messaging_product"] == "whatsapp"
    assert document["contacts"] == [
        {"input": "+525550001234", "wa_id": ANA, "user_id": "MX.508176302041297"}
    ]
    (message,) = document["messages"]
    prefix, _, rest = message["id"].partition(".")
    assert prefix == "wamid"
    assert ANA.encode() in base64.b64decode(rest, validate=True)


@pytest.mark.parametrize(
    ("dialled", "wa_id"),
    [
        ("525550001234", ANA),
        ("+52 1 555 000 1234", ANA),
        ("5531955501234", "553155501234"),
        ("553155501234", "553155501234"),
        ("5511955501234", "5511955501234"),
        ("541155501234", "5491155501234"),
        ("447700900999", "447700900999"),
    ],
)
def test_the_answer_shows_the_number_as_meta_writes_it(
    meta: Simulator, dialled: str, wa_id: str
) -> None:
    contact = meta.send(dialled).json()["contacts"][0]
    assert contact["input"] == dialled
    assert contact["wa_id"] == wa_id


def test_a_person_without_number_is_reached_by_user_id(meta: Simulator) -> None:
    answer = meta.http.post(
        f"/v23.0/{FIRST.phone_number_id}/messages",
        headers={"Authorization": "Bearer token-1"},
        json={
            "messaging_product": "whatsapp",
            "recipient": "SG.134921770815460",
            "type": "text",
            "text": {"body": "hello"},
        },
    )
    contact = answer.json()["contacts"][0]
    assert contact == {"input": "SG.134921770815460", "user_id": "SG.134921770815460"}
    assert [m["preview"] for m in meta.shown("mei")] == ["hello"]


@pytest.mark.parametrize("header", [None, "Bearer nonsense", "Bearer", "Basic token-1"])
def test_a_wrong_token_is_190(meta: Simulator, header: str | None) -> None:
    answer = meta.http.post(
        f"/v23.0/{FIRST.phone_number_id}/messages",
        headers={"Authorization": header} if header else {},
        json={},
    )
    assert refusal(answer) == (401, 190)


def test_another_tenants_token_does_not_see_the_number(meta: Simulator) -> None:
    answer = meta.http.post(
        f"/v23.0/{THIRD.phone_number_id}/messages",
        headers={"Authorization": f"Bearer {FIRST.access_token}"},
        json={},
    )
    assert refusal(answer) == (400, 100)
    assert answer.json()["error"]["error_subcode"] == 33


def test_the_legacy_query_token_works_too(meta: Simulator) -> None:
    path = f"/v23.0/{FIRST.phone_number_id}?access_token={FIRST.access_token}"
    assert meta.http.get(path).status_code == 200


def text(body: object) -> Json:
    return {"type": "text", "text": body}


def buttons(*titles: str) -> Json:
    replies = [
        {"type": "reply", "reply": {"id": f"b{n}", "title": t}} for n, t in enumerate(titles)
    ]
    return {
        "type": "interactive",
        "interactive": {
            "type": "button",
            "body": {"text": "Shall we?"},
            "action": {"buttons": replies},
        },
    }


def rows(*sections: int) -> Json:
    made = [
        {
            "title": f"Section {s}",
            "rows": [{"id": f"{s}.{r}", "title": f"Row {r}"} for r in range(count)],
        }
        for s, count in enumerate(sections)
    ]
    action = {"button": "Choose", "sections": made}
    return {
        "type": "interactive",
        "interactive": {"type": "list", "body": {"text": "Which?"}, "action": action},
    }


ASKED: Json = {"body": {"text": "Shall we?"}}
LINK: Json = {"name": "cta_url", "parameters": {"display_text": "Go", "url": "https://a.example"}}
PLACE: Json = {"type": "location_request_message", **ASKED, "action": {"name": "send_location"}}
CALL: Json = {"type": "call_permission_request", "action": {"name": "call_permission_request"}}


def interactive(content: Json) -> Json:
    return {"type": "interactive", "interactive": content}


def products(*sections: int) -> Json:
    made = [
        {"title": f"Section {s}", "product_items": [{"product_retailer_id": "p"}] * count}
        for s, count in enumerate(sections)
    ]
    header = {"type": "text", "text": "Ours"}
    action = {"catalog_id": "1", "sections": made}
    return interactive({"type": "product_list", "header": header, **ASKED, "action": action})


def cards(count: int, image: Json | None = None) -> Json:
    header = {"type": "image", "image": image or {"link": "https://a.example/b.jpg"}}
    card = {"type": "cta_url", "header": header, "action": LINK}
    made = [{**card, "card_index": n % 10} for n in range(count)]
    return interactive({"type": "carousel", **ASKED, "action": {"cards": made}})


def flow(**parameters: Any) -> Json:
    given = {"flow_message_version": "3", "flow_cta": "Open", **parameters}
    return interactive({"type": "flow", **ASKED, "action": {"name": "flow", "parameters": given}})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (text({"body": "x" * 4097}), 100),
        (text({"body": ""}), 131008),
        (text({}), 131008),
        (text("hello"), 100),
        (text({"body": 5}), 100),
        (text({"body": "x", "colour": "red"}), 100),
        (text({"body": "x"}) | {"surprise": 1}, 100),
        (text({"body": "x"}) | {"biz_opaque_callback_data": "x" * 513}, 100),
        (text({"body": "x"}) | {"context": {}}, 131008),
        (text({"body": "x"}) | {"recipient_type": "group"}, 100),
        ({"type": "text"}, 131008),
        ({"type": "carrier_pigeon", "carrier_pigeon": {}}, 100),
        ({"type": "image", "image": {"link": "https://a.example/b.jpg", "id": "1"}}, 100),
        ({"type": "image", "image": {"link": "ftp://a.example/b.jpg"}}, 131009),
        ({"type": "image", "image": {}}, 131008),
        ({"type": "image", "image": {"id": "404"}}, 100),
        ({"type": "image", "image": {"link": "https://a.b/c", "caption": "x" * 1025}}, 100),
        ({"type": "reaction", "reaction": {"message_id": "wamid.x"}}, 131008),
        ({"type": "reaction", "reaction": {"message_id": "wamid.x", "emoji": "no"}}, 131009),
        ({"type": "location", "location": {"latitude": "91", "longitude": "0"}}, 131009),
        (buttons("a", "b", "c", "d"), 131009),
        (buttons("a", "a"), 131009),
        (buttons("x" * 21), 100),
        (rows(6, 5), 131009),
        (rows(*[1] * 11), 131009),
        ({"type": "contacts", "contacts": [{"name": {"formatted_name": "x"}}] * 258}, 131009),
        (interactive({"type": "seance", "action": {}}), 100),
        (interactive({"type": "button", "action": {}}), 131008),
        (interactive({"type": "list", **ASKED, "footer": {"text": "x" * 61}, "action": {}}), 100),
        (interactive({"type": "product_list", **ASKED, "action": {}}), 131008),
        (interactive(PLACE | {"header": {"type": "text", "text": "x"}}), 100),
        (interactive(PLACE | {"footer": {"text": "x"}}), 100),
        (interactive(PLACE | {"action": {"name": "location"}}), 100),
        (interactive(CALL | {"action": {"name": "request_call_permission"}}), 100),
        (products(16, 15), 131009),
        (products(*[1] * 11), 131009),
        (cards(1), 131009),
        (cards(11), 131009),
        (cards(2, image={"id": "404"}), 100),
        (
            interactive(
                {
                    "type": "cta_url",
                    **ASKED,
                    "header": {"type": "image", "image": {"id": "404"}},
                    "action": LINK,
                }
            ),
            100,
        ),
        (interactive({"type": "cta_url", **ASKED, "action": LINK | {"parameters": {}}}), 131008),
        (flow(), 131009),
        (flow(flow_id="1", flow_name="x"), 131009),
        (flow(flow_id="1", flow_cta="x" * 31), 100),
        (flow(flow_id="1", mode="secret"), 100),
        ({"type": "template", "template": {"name": "Ready!", "language": {"code": "en"}}}, 131009),
        ({"type": "template", "template": {"name": "ready"}}, 131008),
    ],
)
def test_a_bad_message_is_refused_with_metas_code(meta: Simulator, body: Json, code: int) -> None:
    answer = meta.send(body=body)
    assert refusal(answer) == (400, code)
    assert answer.json()["error"]["error_data"]["details"]
    assert meta.shown("ana") == []


@pytest.mark.parametrize(
    "body",
    [
        text({"body": "x" * 4096, "preview_url": True}),
        text({"body": "x"}) | {"biz_opaque_callback_data": "x" * 512},
        {"type": "image", "image": {"link": "https://a.example/b.jpg", "caption": "x" * 1024}},
        {"type": "reaction", "reaction": {"message_id": "wamid.x", "emoji": ""}},
        {"type": "location", "location": {"latitude": "19.4", "longitude": -99.1}},
        {"type": "template", "template": {"name": "ready_1", "language": {"code": "en"}}},
        buttons("a", "b", "c"),
        rows(5, 5),
        products(15, 15),
        products(*[3] * 10),
        cards(2),
        cards(10),
        flow(flow_id="1", flow_cta="x" * 30),
        interactive(PLACE),
        interactive(CALL),
    ],
)
def test_a_message_at_the_limit_is_accepted(meta: Simulator, body: Json) -> None:
    assert meta.send(body=body).status_code == 200


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({}, 100),
        ({"messaging_product": "sms"}, 100),
        ({"messaging_product": "whatsapp", "type": "text", "text": {"body": "x"}}, 100),
        (
            {"messaging_product": "whatsapp", "to": "12", "type": "text", "text": {"body": "x"}},
            131009,
        ),
        ({"messaging_product": "whatsapp", "to": 525550001234}, 131009),
        ({"messaging_product": "whatsapp", "recipient": "nobody"}, 131009),
    ],
)
def test_a_bad_address_is_refused(meta: Simulator, document: Json, code: int) -> None:
    answer = meta.http.post(
        f"/v23.0/{FIRST.phone_number_id}/messages",
        headers={"Authorization": "Bearer token-1"},
        json=document,
    )
    assert refusal(answer) == (400, code)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'"x"'])
def test_a_body_that_is_no_object_is_100(meta: Simulator, raw: bytes) -> None:
    answer = meta.http.post(
        f"/v23.0/{FIRST.phone_number_id}/messages",
        headers={"Authorization": "Bearer token-1"},
        content=raw,
    )
    assert refusal(answer) == (400, 100)


def test_a_number_cannot_write_to_itself(meta: Simulator) -> None:
    assert refusal(meta.send(FIRST.display_phone_number)) == (400, 131021)


def test_a_test_number_reaches_its_list_only(meta: Simulator) -> None:
    meta.faults(allowed_recipients=["+525550001234"])
    assert refusal(meta.send("447700900142")) == (400, 131030)
    assert meta.send("5215550001234").status_code == 200


def test_the_pair_limit_lets_a_burst_through_then_one_in_six_seconds(meta: Simulator) -> None:
    answers = [meta.send("447700900142") for _ in range(46)]
    assert [a.status_code for a in answers[:45]] == [200] * 45
    assert refusal(answers[45]) == (400, 131056)
    assert meta.send("12025550143").status_code == 200
    meta.clock.ahead += 6.0
    assert meta.send("447700900142").status_code == 200
    assert refusal(meta.send("447700900142")) == (400, 131056)
    meta.faults(pair_limit=False)
    assert meta.send("447700900142").status_code == 200


def test_the_throughput_limit_counts_all_messages_of_a_number(meta: Simulator) -> None:
    meta.faults(throughput_per_second=3)
    meta.play("ana", text="this one counts, too")
    assert [meta.send(f"44770090014{n}").status_code for n in range(3)] == [200, 200, 400]
    assert refusal(meta.send("447700900144")) == (400, 130429)
    meta.clock.ahead += 1.0
    assert [meta.send(f"44770090015{n}").status_code for n in range(4)] == [200, 200, 200, 400]
    meta.faults(throughput_limit=False)
    assert meta.send("447700900160").status_code == 200


def test_marking_as_read_turns_the_persons_ticks_blue(meta: Simulator) -> None:
    first = meta.play("ana", text="one")
    second = meta.play("ana", text="two")
    third = meta.play("ana", text="three")
    meta.flush()
    path = f"/v23.0/{FIRST.phone_number_id}/messages"
    headers = {"Authorization": "Bearer token-1"}
    answer = meta.http.post(
        path,
        headers=headers,
        json={
            "messaging_product": "whatsapp",
            "status": "read",
            "message_id": second["id"],
            "typing_indicator": {"type": "text"},
        },
    )
    assert answer.json() == {"success": True}
    states = {m["id"]: m["state"] for m in meta.shown("ana")}
    assert states == {first["id"]: "read", second["id"]: "read", third["id"]: "delivered"}


def test_a_business_cannot_mark_its_own_message_as_read(meta: Simulator) -> None:
    wamid = meta.sent()
    answer = meta.send(body={"status": "read", "message_id": wamid})
    assert refusal(answer) == (400, 131009)


def test_marking_an_unknown_message_succeeds_since_its_webhook_may_come_from_elsewhere(
    meta: Simulator,
) -> None:
    answer = meta.send(body={"status": "read", "message_id": "wamid.elsewhere"})
    assert answer.json() == {"success": True}


def test_an_uploaded_picture_comes_back_byte_for_byte(meta: Simulator) -> None:
    picture = bytes(range(256)) * 5 + b"\r\n--boundary\r\n"
    headers = {"Authorization": "Bearer token-1"}
    uploaded = meta.http.post(
        f"/v23.0/{FIRST.phone_number_id}/media",
        headers=headers,
        data={"messaging_product": "whatsapp", "type": "image/png"},
        files={"file": ("a.png", picture, "image/png")},
    )
    media_id = uploaded.json()["id"]
    described = meta.http.get(f"/v23.0/{media_id}", headers=headers).json()
    assert described["mime_type"] == "image/png"
    assert described["file_size"] == len(picture)
    assert meta.http.get(described["url"]).status_code == 401
    assert meta.http.get(described["url"], headers=headers).content == picture
    stale = re.sub(r"ext=\d+", "ext=1", described["url"])
    assert meta.http.get(stale, headers=headers).status_code == 404
    assert meta.send(body={"type": "image", "image": {"id": media_id}}).status_code == 200
    assert meta.http.delete(f"/v23.0/{media_id}", headers=headers).json() == {"success": True}
    assert refusal(meta.http.get(f"/v23.0/{media_id}", headers=headers)) == (400, 100)


def test_a_picture_of_another_number_cannot_be_sent(meta: Simulator) -> None:
    uploaded = meta.http.post(
        f"/v23.0/{SECOND.phone_number_id}/media",
        headers={"Authorization": "Bearer token-1"},
        data={"messaging_product": "whatsapp"},
        files={"file": ("a.png", b"x", "image/png")},
    )
    answer = meta.send(body={"type": "image", "image": {"id": uploaded.json()["id"]}})
    assert refusal(answer) == (400, 100)


def test_numbers_are_described_by_the_fields_asked_for(meta: Simulator) -> None:
    headers = {"Authorization": "Bearer token-1"}
    path = f"/v23.0/{FIRST.phone_number_id}"
    usual = meta.http.get(path, headers=headers).json()
    assert usual["verified_name"] == "Casa Verde"
    assert "health_status" not in usual
    chosen = meta.http.get(path, params={"fields": "status,throughput"}, headers=headers).json()
    assert chosen == {
        "id": FIRST.phone_number_id,
        "status": "CONNECTED",
        "throughput": {"level": "STANDARD"},
    }
    odd = meta.http.get(path, params={"fields": "shoe_size"}, headers=headers)
    assert refusal(odd) == (400, 100)


def test_an_account_lists_its_own_numbers_and_subscriptions(meta: Simulator) -> None:
    headers = {"Authorization": "Bearer token-1"}
    waba = f"/v23.0/{FIRST.waba_id}"
    listed = meta.http.get(f"{waba}/phone_numbers", headers=headers).json()["data"]
    assert {n["id"] for n in listed} == {FIRST.phone_number_id, SECOND.phone_number_id}
    assert meta.http.get(f"{waba}/subscribed_apps", headers=headers).json() == {"data": []}
    assert meta.http.post(f"{waba}/subscribed_apps", headers=headers).json() == {"success": True}
    (app,) = meta.http.get(f"{waba}/subscribed_apps", headers=headers).json()["data"]
    assert app["whatsapp_business_api_data"]["name"]
    other = meta.http.get(f"/v23.0/{THIRD.waba_id}/phone_numbers", headers=headers)
    assert refusal(other) == (400, 100)


def test_an_unknown_path_is_refused_in_graphs_shape(meta: Simulator) -> None:
    assert refusal(meta.http.get("/v23.0/1/2/3")) == (400, 2500)


def test_every_call_is_logged_without_its_token(meta: Simulator) -> None:
    meta.sent()
    meta.send(body={"type": "text"})
    logged = meta.http.get("/simulator/requests").json()["requests"]
    assert [entry["status"] for entry in logged] == [200, 400]
    assert logged[0]["node"] == FIRST.phone_number_id
    assert logged[0]["body"]["text"] == {"body": "hello"}
    assert logged[1]["response"]["error"]["code"] == 131008
    assert "token-1" not in str(logged)
