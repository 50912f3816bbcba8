"""Flows by route: what Meta is asked, what it answers, and what stands here afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from local.simulator.app import create_app
from local.simulator.config import BusinessNumber, Config
from switchboard.access import SCOPES
from switchboard.intake.store import store as take_in
from switchboard.whatsapp import flows as meta
from tests import api_document
from tests.databases import ClonedDatabase
from tests.managing import Desk, Made, column, desk_of
from tests.simulator_run import SECRET, VERIFY_TOKEN, backend, serve

ONE = "/v1/flows/{id}"
SCREEN: Made = {
    "id": "START",
    "title": "Booking",
    "terminal": True,
    "layout": {
        "type": "SingleColumnLayout",
        "children": [{"type": "TextBody", "text": "¿Cuándo?"}],
    },
}
GOOD: Made = {"version": "7.1", "screens": [SCREEN]}
BAD: Made = {"version": "7.1", "screens": [{**SCREEN, "terminal": False}]}


@pytest.fixture
def desk(database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk whose Graph is the simulator, with the tenant's number on it."""
    with desk_of(database, monkeypatch) as desk, backend() as receiver:
        number = BusinessNumber(
            waba_id=desk.place.waba_id,
            phone_number_id=desk.place.phone_number_id,
            display_phone_number="15550001111",
            verified_name="N",
            access_token=f"token-{desk.place.phone_number_id}",
        )
        config = Config(
            webhook_url=receiver.url,
            app_secret=SECRET,
            verify_token=VERIFY_TOKEN,
            numbers=(number,),
            greet=False,
        )
        with serve(create_app(config)) as url:
            desk.use(graph_url=url)
            yield desk


def asked(desk: Desk) -> list[tuple[str, str, Any]]:
    """What Meta was asked since the last time: method, path behind the version, body."""
    url = str(desk.made.settings.graph_api_url)
    calls = httpx.get(f"{url}/simulator/requests").json()["requests"]
    httpx.delete(f"{url}/simulator/requests").raise_for_status()
    return [(one["method"], one["path"].partition("/v23.0/")[2], one["body"]) for one in calls]


def made(desk: Desk, **more: Any) -> Made:
    body = {"waba_id": desk.place.waba_id, "name": "booking", "categories": ["OTHER"], **more}
    status, flow = desk.call("POST /v1/flows", body=body)
    assert status == 201, flow
    return flow


def tell(desk: Desk, flow_id: str, status: str, at: datetime) -> None:
    """Take Meta's word of a state in, as of this time."""
    value = {"event": "FLOW_STATUS_CHANGE", "flow_id": flow_id, "new_status": status}
    entry = {
        "id": desk.place.waba_id,
        "time": int(at.timestamp()),
        "changes": [{"field": "flows", "value": value}],
    }
    body = {"object": "whatsapp_business_account", "entry": [entry]}
    take_in(desk.made, json.dumps(body).encode(), None)


def test_a_flow_goes_from_draft_to_retirement(desk: Desk) -> None:
    flow = made(desk, endpoint_uri="https://acme.example/flow")
    one = flow["flow_id"]
    assert (flow["status"], flow["name"], flow["categories"]) == ("DRAFT", "booking", ["OTHER"])
    assert flow["validation_errors"] == []
    create = {
        "name": "booking",
        "categories": '["OTHER"]',
        "endpoint_uri": "https://acme.example/flow",
    }
    assert asked(desk) == [
        ("POST", f"{desk.place.waba_id}/flows", create),
        ("GET", one, None),
    ]

    bad = desk.ok(f"POST {ONE}/assets", one, body={"flow_json": BAD})
    assert column(bad["validation_errors"], "error") == ["MISSING_TERMINAL_SCREEN"]
    assert desk.ok(f"GET {ONE}", one)["validation_errors"] == bad["validation_errors"]
    upload = {"name": "flow.json", "asset_type": "FLOW_JSON", "file": BAD}
    assert asked(desk) == [("POST", f"{one}/assets", upload), ("GET", one, None)]
    status, problem = desk.call(f"POST {ONE}/publish", one)
    assert (status, problem["error"]["code"]) == (502, 139002)
    assert "validation errors" in problem["detail"]
    asked(desk)

    good = desk.ok(f"POST {ONE}/assets", one, body={"flow_json": GOOD})
    assert (good["validation_errors"], good["json_version"]) == ([], "7.1")
    changed = desk.ok(f"POST {ONE}", one, body={"name": "tables", "categories": ["SURVEY"]})
    assert (changed["name"], changed["categories"]) == ("tables", ["SURVEY"])
    change = {"name": "tables", "categories": '["SURVEY"]'}
    assert asked(desk)[2:] == [("POST", one, change), ("GET", one, None)]
    assert desk.ok(f"POST {ONE}/publish", one)["status"] == "PUBLISHED"
    assert asked(desk) == [("POST", f"{one}/publish", None), ("GET", one, None)]
    assert desk.call(f"DELETE {ONE}", one)[0] == 409
    assert asked(desk) == []  # what is known to be out is not asked for
    assert desk.ok(f"POST {ONE}/deprecate", one)["status"] == "DEPRECATED"
    assert asked(desk) == [("POST", f"{one}/deprecate", None), ("GET", one, None)]


def test_a_flow_with_its_screens_can_be_out_at_once_and_copied(desk: Desk) -> None:
    flow = made(desk, flow_json=GOOD, publish=True)
    assert flow["status"] == "PUBLISHED"
    (create, _) = asked(desk)
    assert create[2] == {
        "name": "booking",
        "categories": '["OTHER"]',
        "flow_json": json.dumps(GOOD, separators=(",", ":"), ensure_ascii=False),
        "publish": "true",
    }
    copy = made(desk, name="copy", clone_flow_id=flow["flow_id"])
    assert (copy["status"], copy["json_version"]) == ("DRAFT", "7.1")
    broken = made(desk, name="broken", flow_json=BAD, publish=True)
    assert column(broken["validation_errors"], "error") == ["MISSING_TERMINAL_SCREEN"]
    assert broken["status"] == "DRAFT"


def test_a_draft_is_deleted_and_shown_as_it_was(desk: Desk) -> None:
    one = made(desk)["flow_id"]
    asked(desk)
    assert desk.ok(f"DELETE {ONE}", one)["name"] == "booking"
    assert asked(desk) == [("DELETE", one, None)]
    assert desk.call(f"GET {ONE}", one)[0] == 404
    assert desk.place.rows("whatsapp_flows") == []


def test_a_preview_has_an_address(desk: Desk) -> None:
    one = made(desk, flow_json=GOOD)["flow_id"]
    preview = desk.ok(f"GET {ONE}/preview", one)
    assert httpx.get(preview["url"]).json() == GOOD
    assert preview["expires_at"].startswith(str((datetime.now(UTC) + timedelta(days=30)).year))


def test_a_sync_brings_all_pages_and_forgets_drafts_that_are_gone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meta, "_PAGE", 2)
    ids = [made(desk, name=f"flow {n}")["flow_id"] for n in range(5)]
    gone, known = str(10**14 - 1), str(10**14 - 2)
    for flow_id, status in ((gone, "DRAFT"), (known, "PUBLISHED")):
        desk.world.everything.execute(
            "insert into messaging.whatsapp_flows (tenant_id, waba_id, flow_id, states, fetched_at)"
            " values (%s, %s, %s, jsonb_build_object('status', jsonb_build_object('at', 1, 'v',"
            " %s::text)), now() - interval '1 day')",
            (desk.place.tenant_id, desk.place.waba_id, flow_id, status),
        )
    # Of a draft that a webhook has told of alone nobody knows whether Meta lists it by now.
    tell(desk, "555", "DRAFT", datetime.now(UTC))
    asked(desk)

    body = {"waba_id": desk.place.waba_id}
    assert desk.ok("POST /v1/flows/sync", body=body) == {"flows": 5, "forgotten": 1}

    assert [path for _, path, _ in asked(desk)] == [f"{desk.place.waba_id}/flows"] * 3
    rows = desk.pages("GET /v1/flows", limit=2)
    assert sorted(column(rows, "flow_id")) == sorted([*ids, known, "555"])
    only = desk.pages("GET /v1/flows", waba_id=desk.place.waba_id, status="PUBLISHED")
    assert column(only, "flow_id") == [known]
    assert desk.ok("GET /v1/flows", waba_id="7")["data"] == []


def test_a_newer_webhook_wins_over_what_was_fetched_and_an_older_one_does_not(desk: Desk) -> None:
    one = made(desk, flow_json=GOOD, publish=True)["flow_id"]
    now = datetime.now(UTC)
    tell(desk, one, "DRAFT", now - timedelta(hours=1))
    assert desk.ok(f"GET {ONE}", one)["status"] == "PUBLISHED"
    # Those of the second in which it was asked for, too: creation and publishing are in one.
    for status in ("DRAFT", "PUBLISHED", "DRAFT"):
        tell(desk, one, status, desk.place.rows("whatsapp_flows")[0]["fetched_at"])
    assert desk.ok(f"GET {ONE}", one)["status"] == "PUBLISHED"
    tell(desk, one, "BLOCKED", now + timedelta(seconds=30))
    flow = desk.ok(f"GET {ONE}", one)
    assert (flow["status"], flow["name"]) == ("BLOCKED", "booking")
    # An answer of before it does not lift the block.
    desk.ok("POST /v1/flows/sync", body={"waba_id": desk.place.waba_id})
    assert desk.ok(f"GET {ONE}", one)["status"] == "BLOCKED"


def test_what_webhooks_alone_have_told_is_listed(desk: Desk) -> None:
    tell(desk, "555", "THROTTLED", datetime.now(UTC))
    (flow,) = desk.ok("GET /v1/flows")["data"]
    assert (flow["flow_id"], flow["status"], flow["fetched_at"]) == ("555", "THROTTLED", None)


def test_of_two_answers_the_one_asked_for_later_stays(desk: Desk) -> None:
    one = made(desk)["flow_id"]
    now = datetime.now(UTC)
    for name, at in (("newer", now + timedelta(hours=1)), ("older", now)):
        desk.world.everything.execute(
            "select messaging.fetched_flows(%s, %s, %s, %s)",
            (
                desk.place.tenant_id,
                desk.place.waba_id,
                json.dumps([{"flow": one, "name": name, "categories": [], "status": "DRAFT"}]),
                at,
            ),
        )
    assert desk.ok(f"GET {ONE}", one)["name"] == "newer"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"categories": []}, "categories"),
        ({"categories": ["fun"]}, "categories.0"),
        ({"flow_json": [1]}, "flow_json"),
        ({"endpoint_uri": "http://acme.example"}, "endpoint_uri"),
        ({"waba_id": "7/../8"}, "waba_id"),
        ({"clone_flow_id": "7?x"}, "clone_flow_id"),
        ({"flow_json": {}, "clone_flow_id": "7"}, None),
        ({"publish": True}, None),
    ],
    ids=str,
)
def test_what_meta_would_refuse_is_refused_here_by_its_name(
    desk: Desk, change: Made, field: str | None
) -> None:
    body = {"waba_id": desk.place.waba_id, "name": "x", "categories": ["OTHER"], **change}
    status, problem = desk.call("POST /v1/flows", body=body)
    assert (status, problem.get("field")) == (422, field), problem
    assert asked(desk) == []


def test_a_json_has_a_limit(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    one = made(desk)["flow_id"]
    asked(desk)
    monkeypatch.setattr(meta, "LARGEST_JSON", 100)
    status, problem = desk.call(f"POST {ONE}/assets", one, body={"flow_json": {"x": "y" * 100}})
    assert (status, problem["field"]) == (413, "flow_json")
    assert asked(desk) == []


def test_a_refusal_of_meta_is_told_and_leaves_nothing(desk: Desk) -> None:
    made(desk)
    body = {"waba_id": desk.place.waba_id, "name": "booking", "categories": ["OTHER"]}
    status, problem = desk.call("POST /v1/flows", body=body)
    assert (status, problem["error"]["code"]) == (502, 100)
    assert len(desk.place.rows("whatsapp_flows")) == 1


def test_validation_errors_in_a_refusal_are_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = [{"error": "INVALID_PROPERTY", "message": "no"}]
    refusal = {"error": {"message": "x", "code": 139002}, "validation_errors": errors}

    class Refusing(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(400, json=refusal)

    one = made(desk)["flow_id"]
    desk.use(transport=Refusing())
    status, problem = desk.call(f"POST {ONE}/publish", one)
    assert (status, problem["validation_errors"]) == (502, errors)


def test_what_was_done_is_told_though_meta_cannot_be_asked_again(desk: Desk) -> None:
    flow = made(desk)
    numbers = count()

    class OnceOnly(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if next(numbers):
                raise httpx.ReadTimeout("away")
            return httpx.Response(200, json={"success": True, "id": "77"})

    desk.use(transport=OnceOnly())
    answer = desk.ok(f"POST {ONE}/publish", flow["flow_id"])
    assert answer == flow  # as it is known here: a webhook will tell
    numbers = count()
    body = {"waba_id": desk.place.waba_id, "name": "x", "categories": ["OTHER"]}
    status, new = desk.call("POST /v1/flows", body=body)
    assert (status, new["flow_id"], new["status"]) == (201, "77", "DRAFT")


def test_nobody_asks_for_anothers_flows(desk: Desk) -> None:
    one = made(desk)["flow_id"]
    other = desk.world.place()
    key = other.add_key(*SCOPES)
    asked(desk)
    sync = desk.call("POST /v1/flows/sync", body={"waba_id": desk.place.waba_id}, key=key)
    assert sync[0] == 404
    assert desk.call(f"POST {ONE}/publish", one, key=key)[0] == 404
    assert asked(desk) == []


def test_what_is_shown_has_the_members_that_the_document_names(desk: Desk) -> None:
    schemas = api_document.document()["components"]["schemas"]
    one = made(desk, flow_json=GOOD)["flow_id"]
    ana = desk.contact_of(desk.hear("4915550000001"))
    sync = desk.ok("POST /v1/flows/sync", body={"waba_id": desk.place.waba_id})
    sender = {"from": desk.place.phone_number_id}
    for name, shown in (
        ("Flow", desk.ok(f"GET {ONE}", one)),
        ("FlowPreview", desk.ok(f"GET {ONE}/preview", one)),
        ("SyncedFlows", sync),
        ("PublicKey", desk.ok("GET /v1/flows/public-key", **sender)),
        (
            "FlowSession",
            desk.ok("GET /v1/flow-sessions/{id}", session(desk, ana, datetime.now(UTC))),
        ),
    ):
        assert shown.keys() == schemas[name]["properties"].keys(), name


# --- public keys ---


def pem(key: Any) -> str:
    public = key.public_key()
    text: bytes = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text.decode()


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def test_a_public_key_is_set_and_shown(desk: Desk, key: rsa.RSAPrivateKey) -> None:
    sender = {"from": desk.place.phone_number_id}
    before = desk.ok("GET /v1/flows/public-key", **sender)
    assert (before["business_public_key"], before["status"]) == (None, None)
    asked(desk)
    # Line ends and blanks of a copied key do not matter.
    given = "  " + pem(key).replace("\n", "\r\n") + "\n"
    shown = desk.ok("POST /v1/flows/public-key", body={"business_public_key": given}, **sender)
    assert (shown["business_public_key"], shown["status"]) == (pem(key), "VALID")
    assert shown == desk.ok("GET /v1/flows/public-key", **sender)
    where = f"{desk.place.phone_number_id}/whatsapp_business_encryption"
    assert asked(desk)[0] == ("POST", where, {"business_public_key": pem(key)})


def test_a_key_that_is_none_never_leaves(desk: Desk, key: rsa.RSAPrivateKey) -> None:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    both = pem(key) + private
    small = pem(rsa.generate_private_key(65537, 1024))
    curve = pem(ec.generate_private_key(ec.SECP256R1()))
    for given in ("x", private, both, small, curve, pem(key)[:-60]):
        status, problem = desk.call(
            "POST /v1/flows/public-key",
            body={"business_public_key": given},
            **{"from": desk.place.phone_number_id},
        )
        assert (status, problem["field"]) == (422, "business_public_key")
        assert given not in json.dumps(problem) or given == "x"
    assert asked(desk) == []


def test_a_key_belongs_to_a_number_of_the_tenant(desk: Desk, key: rsa.RSAPrivateKey) -> None:
    body = {"business_public_key": pem(key)}
    assert desk.call("GET /v1/flows/public-key")[0] == 400
    for sender in ("7", desk.world.place().phone_number_id):
        status, _ = desk.call("POST /v1/flows/public-key", body=body, **{"from": sender})
        assert status == 404
    assert asked(desk) == []


# --- sessions ---


def session(desk: Desk, contact_id: str, at: datetime, **columns: Any) -> str:
    values = {"flow_id": "66", "flow_token": str(uuid4()), "status": "pending", **columns}
    (row,) = desk.world.everything.execute(
        "insert into messaging.flow_sessions (tenant_id, account_id, contact_id, flow_id,"
        " flow_name, flow_token, flow_type, status, response_data, created_at)"
        " values (%s, %s, %s, %s, %s, %s, 'navigate', %s, %s, %s) returning id",
        (
            desk.place.tenant_id,
            desk.place.account_id,
            contact_id,
            values["flow_id"],
            values.get("flow_name"),
            values["flow_token"],
            values["status"],
            json.dumps(values.get("response_data")),
            at,
        ),
    )
    return str(row[0])


def test_sessions_are_listed_the_newest_first_and_by_filters(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = desk.contact_of(desk.hear("4915550000001"))
    ben = desk.contact_of(desk.hear("4915550000002"))
    now = datetime.now(UTC).replace(microsecond=0)
    ids = [
        session(
            desk,
            ana if n % 2 else ben,
            now - timedelta(minutes=n // 2),
            status="completed" if n == 4 else "pending",
            flow_id=None if n == 5 else "66",
            flow_name="booking" if n == 5 else None,
        )
        for n in range(6)
    ]
    rows = desk.pages("GET /v1/flow-sessions", limit=2)
    assert [row["created_at"] for row in rows] == sorted(column(rows, "created_at"), reverse=True)
    assert sorted(column(rows, "id")) == sorted(ids)

    def found(**filters: Any) -> list[str]:
        return sorted(column(desk.pages("GET /v1/flow-sessions", limit=2, **filters), "id"))

    assert found(status="completed") == [ids[4]]
    assert found(contact=ana) == sorted([ids[1], ids[3], ids[5]])
    assert found(contact=ana, flow="66") == sorted([ids[1], ids[3]])
    assert found(flow="booking") == [ids[5]]
    assert found(contact=uuid4()) == []
    # A page whose walk ends before anything fits goes on.
    monkeypatch.setattr("switchboard.inbox.flow_sessions.WALK", 2)
    assert found(status="completed") == [ids[4]]
    assert desk.call("GET /v1/flow-sessions", status="done")[0] == 400


def test_a_session_is_shown_with_its_answer(desk: Desk) -> None:
    ana = desk.contact_of(desk.hear("4915550000001"))
    answer = {"seats": 4}
    one = session(desk, ana, datetime.now(UTC), status="completed", response_data=answer)
    shown = desk.ok("GET /v1/flow-sessions/{id}", one)
    assert (shown["response_data"], shown["phone_number_id"], shown["status"]) == (
        answer,
        desk.place.phone_number_id,
        "completed",
    )
    assert desk.call("GET /v1/flow-sessions/{id}", uuid4())[0] == 404
