"""Numbers: what Meta tells is taken up in its time's order; profiles, overrides, our settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from switchboard.kernel.clock import Clock
from switchboard.whatsapp.numbers import FIELDS
from tests.databases import ClonedDatabase
from tests.graph_calls import Asked, GraphCalls, graph_calls
from tests.managing import START, Desk, Made, desk_of
from tests.sending import deliver

ONE = "GET /v1/numbers/{id}"
SYNC = "POST /v1/numbers/{id}/sync"
PROFILE = "/v1/numbers/{id}/profile"
CALLBACK = "/v1/numbers/{id}/callback"
ACCOUNT = "/v1/accounts/{id}/callback"
URL = "https://acme.example/webhook"
OVERRIDE = {"url": URL, "verify_token": "open sesame"}


class Numbers:
    """A desk whose number Meta knows."""

    def __init__(self, desk: Desk, graph: GraphCalls) -> None:
        self.desk = desk
        self.graph = graph
        self.id = desk.place.phone_number_id
        self.token = f"token-{self.id}"
        desk.use(graph_url=graph.url)

    def at(self, **later: float) -> None:
        """Let the function's time be START and so much."""
        self.desk.made.clock = Clock(now=START + timedelta(**later))

    def node(self, **members: Any) -> Made:
        """Let Meta tell this of the number."""
        told = {"id": self.id, **members}
        self.graph.say(told)
        return told

    def show(self) -> Made:
        return self.desk.ok(ONE, self.id)

    def row(self) -> Made:
        (row,) = self.desk.place.rows("whatsapp_accounts")
        return row

    def account_row(self) -> Made:
        (row,) = self.desk.place.rows("whatsapp_business_accounts")
        return row

    def hear_quality(self, minutes: int, event: str, **value: Any) -> None:
        """Take Meta's webhook about the number in, told so many minutes after START."""
        digits = f"1{self.id}"
        change = {
            "field": "phone_number_quality_update",
            "value": {"display_phone_number": digits, "event": event, **value},
        }
        at = int((START + timedelta(minutes=minutes)).timestamp())
        entry = {"id": self.desk.place.waba_id, "time": at, "changes": [change]}
        body = {"object": "whatsapp_business_account", "entry": [entry]}
        deliver(self.desk.made, json.dumps(body).encode())


@pytest.fixture
def numbers(database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Numbers]:
    with graph_calls() as graph, desk_of(database, monkeypatch) as desk:
        yield Numbers(desk, graph)


WHOLE = {
    "display_phone_number": "+1 555-000-1111",
    "verified_name": "Casa Verde",
    "quality_rating": "GREEN",
    "status": "CONNECTED",
    "name_status": "APPROVED",
    "code_verification_status": "VERIFIED",
    "platform_type": "CLOUD_API",
    "is_on_biz_app": False,
    "throughput": {"level": "HIGH"},
    "messaging_limit_tier": "TIER_2K",
    "whatsapp_business_manager_messaging_limit": "TIER_10K",
    "account_mode": "LIVE",
    "health_status": {"can_send_message": "AVAILABLE", "entities": []},
    "webhook_configuration": {"application": "https://app.example/webhook"},
}


def test_a_number_is_shown_as_meta_tells_it_and_without_any_token(numbers: Numbers) -> None:
    numbers.node(**WHOLE)
    numbers.at()
    shown = numbers.desk.ok(SYNC, numbers.id)
    assert numbers.graph.asked == [
        Asked("GET", numbers.id, {"fields": ",".join(FIELDS)}, None, numbers.token)
    ]
    expected = {
        "phone_number_id": numbers.id,
        "waba_id": numbers.desk.place.waba_id,
        "verified_name": "Casa Verde",
        "name_status": "APPROVED",
        "quality_rating": "GREEN",
        "messaging_limit": "TIER_10K",
        "throughput": "HIGH",
        "is_coexistence": False,
        "status": "connected",
        "meta_status": "CONNECTED",
        "account_mode": "LIVE",
        "code_verification": "VERIFIED",
        "health": {"can_send_message": "AVAILABLE", "entities": []},
        "webhook_url": None,
        "has_token": True,
        "pauses": [],
        "last_synced_at": START.isoformat(),
    }
    assert {name: shown[name] for name in expected} == expected
    assert numbers.show() == shown
    assert numbers.desk.ok("GET /v1/numbers") == {"data": [shown], "next_cursor": None}
    assert numbers.token not in json.dumps(shown)
    assert {name for name in shown if "token" in name} == {"has_token", "token_expires_at"}


def test_a_field_that_a_version_lacks_is_asked_for_no_more(numbers: Numbers) -> None:
    lacking = {"whatsapp_business_manager_messaging_limit", "is_on_biz_app"}

    def answer(asked: Asked) -> tuple[int, Any]:
        wanted = asked.query["fields"].split(",")
        unknown = [name for name in wanted if name in lacking]
        if unknown:
            text = f"(#100) Tried accessing nonexisting field ({unknown[0]}) on node type (X)"
            return 400, {"error": {"message": text, "type": "OAuthException", "code": 100}}
        return 200, {"id": numbers.id, **{name: WHOLE[name] for name in wanted}}

    numbers.graph.answer = answer
    assert numbers.desk.ok(SYNC, numbers.id)["messaging_limit"] == "TIER_2K"
    last = numbers.graph.asked[-1].query["fields"].split(",")
    assert (len(numbers.graph.asked), last) == (3, [name for name in FIELDS if name not in lacking])


def test_any_other_refusal_is_told_and_changes_nothing(numbers: Numbers) -> None:
    before = numbers.row()
    numbers.graph.refuse(190, "Invalid OAuth access token", 401)
    status, problem = numbers.desk.call(SYNC, numbers.id)
    assert (status, problem["error"]["code"]) == (502, 190)
    numbers.graph.refuse(100, "Unsupported get request")
    assert numbers.desk.call(SYNC, numbers.id)[0] == 502
    numbers.graph.refuse(80007, "slow down")
    assert numbers.desk.call(SYNC, numbers.id)[0] == 503
    numbers.graph.say({"id": "another"})
    assert numbers.desk.call(SYNC, numbers.id)[0] == 504
    assert numbers.row() == before
    assert len(numbers.graph.asked) == 4


def test_a_newer_webhook_is_not_overwritten_by_an_older_fetch(numbers: Numbers) -> None:
    numbers.hear_quality(1, "FLAGGED")
    numbers.hear_quality(1, "THROUGHPUT_UPGRADE", current_limit="TIER_100K")
    numbers.at(minutes=0, seconds=59)
    numbers.node(quality_rating="GREEN", throughput={"level": "STANDARD"}, status="FLAGGED")
    shown = numbers.desk.ok(SYNC, numbers.id)
    assert (shown["quality_rating"], shown["throughput"]) == ("RED", "HIGH")
    assert (shown["messaging_limit"], shown["status"]) == ("TIER_100K", "connected")
    numbers.at(minutes=2)
    shown = numbers.desk.ok(SYNC, numbers.id)
    assert (shown["quality_rating"], shown["throughput"]) == ("GREEN", "STANDARD")


def test_an_older_webhook_does_not_overwrite_a_newer_fetch(numbers: Numbers) -> None:
    numbers.at(minutes=2)
    numbers.node(quality_rating="GREEN")
    numbers.desk.ok(SYNC, numbers.id)
    numbers.hear_quality(1, "FLAGGED")
    assert numbers.show()["quality_rating"] == "GREEN"
    numbers.hear_quality(3, "FLAGGED")
    assert numbers.show()["quality_rating"] == "RED"


@pytest.mark.parametrize(
    ("word", "ours"),
    [
        ("CONNECTED", "connected"),
        ("RESTRICTED", "connected"),
        ("UNVERIFIED", "pending"),
        ("MIGRATED", "disconnected"),
        ("BANNED", "suspended"),
        ("TOMORROWS_WORD", "connected"),
    ],
)
def test_metas_status_has_a_word_of_ours(numbers: Numbers, word: str, ours: str) -> None:
    numbers.node(status=word)
    shown = numbers.desk.ok(SYNC, numbers.id)
    assert (shown["status"], shown["meta_status"]) == (ours, word)


@pytest.mark.parametrize(
    ("on_app", "platform", "shared"),
    [(True, "CLOUD_API", True), (True, "ON_PREMISE", False), (False, "CLOUD_API", False)],
)
def test_a_number_may_live_on_a_phone_as_well(
    numbers: Numbers, on_app: bool, platform: str, shared: bool
) -> None:
    numbers.node(is_on_biz_app=on_app, platform_type=platform)
    assert numbers.desk.ok(SYNC, numbers.id)["is_coexistence"] is shared
    numbers.node(platform_type=platform)  # not told: as it was
    assert numbers.desk.ok(SYNC, numbers.id)["is_coexistence"] is shared


def test_pauses_that_hold_now_are_shown_and_an_endless_one_has_no_end(numbers: Numbers) -> None:
    numbers.at()
    number = {"sends_paused_until": "infinity", "sends_paused_reason": "190: token"}
    numbers.desk.place.set_number(**number, sends_stopped_at=START)
    numbers.desk.world.everything.execute(
        "update messaging.whatsapp_business_accounts set sends_paused_until = %s,"
        " sends_restricted_until = %s",
        (START - timedelta(seconds=1), START + timedelta(hours=1)),
    )
    shown = numbers.show()
    later = (START + timedelta(hours=1)).isoformat()
    assert shown["pauses"] == [
        {"of": "number", "until": None, "reason": "190: token"},
        {"of": "account", "until": later, "reason": "restricted by Meta"},
    ]
    assert shown["stopped_at"] == START.isoformat()


def test_our_settings_change_and_what_is_left_out_stays(numbers: Numbers) -> None:
    def settings(shown: Made) -> list[Any]:
        names = ("auto_mark_read", "acknowledging_reaction", "resend_once", "confirm_consents")
        return [shown[name] for name in names]

    def change(**body: Any) -> list[Any]:
        return settings(numbers.desk.ok("PATCH /v1/numbers/{id}", numbers.id, body=body))

    assert settings(numbers.show()) == [False, None, False, True]
    assert change(acknowledging_reaction="👀") == [False, "👀", False, True]
    assert change(auto_mark_read=True, resend_once=True) == [True, "👀", True, True]
    assert change(confirm_consents=False) == [True, "👀", True, False]
    assert change(acknowledging_reaction=None, auto_mark_read=False) == [False, None, True, False]
    for wrong, field in (({"acknowledging_reaction": ""}, "acknowledging_reaction"), ({}, None)):
        status, problem = numbers.desk.call("PATCH /v1/numbers/{id}", numbers.id, body=wrong)
        assert (status, problem.get("field")) == (422, field)
    assert numbers.graph.asked == []


def test_numbers_are_listed_page_by_page(numbers: Numbers) -> None:
    for index in range(3):
        numbers.desk.world.everything.execute(
            "insert into messaging.whatsapp_accounts (tenant_id, waba_id, phone_number_id,"
            " phone_number, display_name) values (%s, %s, %s, %s, 'N')",
            (
                numbers.desk.place.tenant_id,
                numbers.desk.place.waba_id,
                f"9{index}",
                f"+1999000000{index}",
            ),
        )
    rows = numbers.desk.pages("GET /v1/numbers", limit=2)
    assert [row["phone_number_id"] for row in rows] == sorted([numbers.id, "90", "91", "92"])


# The business profile


def test_a_profile_is_read_from_meta_in_either_nesting(numbers: Numbers) -> None:
    profile = {"about": "Open", "websites": ["https://acme.example"], "vertical": "RETAIL"}
    empty = dict.fromkeys(("address", "description", "email", "profile_picture_url"))
    for entry in (profile, {"business_profile": profile}):
        numbers.graph.say({"data": [{**entry, "messaging_product": "whatsapp"}]})
        assert numbers.desk.ok(f"GET {PROFILE}", numbers.id) == {**empty, **profile}
    fields = "about,address,description,email,profile_picture_url,websites,vertical"
    path = f"{numbers.id}/whatsapp_business_profile"
    assert numbers.graph.asked[0] == Asked("GET", path, {"fields": fields}, None, numbers.token)


def test_a_profile_is_changed_by_what_is_given(numbers: Numbers) -> None:
    change = {"about": "x" * 139, "email": "", "websites": [], "vertical": "HOTEL"}
    answer = numbers.desk.ok(f"POST {PROFILE}", numbers.id, body=change)
    assert answer == {"changed": ["about", "email", "vertical", "websites"]}
    (asked,) = numbers.graph.asked
    assert asked == Asked(
        "POST",
        f"{numbers.id}/whatsapp_business_profile",
        {},
        {"messaging_product": "whatsapp", **change},
        numbers.token,
    )


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"about": "x" * 140}, "about"),
        ({"about": ""}, "about"),
        ({"address": "x" * 257}, "address"),
        ({"description": "x" * 513}, "description"),
        ({"email": "a@" + "x" * 130 + ".example"}, "email"),
        ({"email": "nobody"}, "email"),
        ({"websites": ["https://a.example"] * 3}, "websites"),
        ({"websites": ["https://a.example/" + "x" * 250]}, "websites.0"),
        ({"websites": ["acme.example"]}, "websites.0"),
        ({"vertical": "CIRCUS"}, "vertical"),
        ({"vertical": None}, None),
        ({}, None),
    ],
)
def test_a_profile_is_checked_before_meta_is_asked(
    numbers: Numbers, wrong: Made, field: str | None
) -> None:
    status, problem = numbers.desk.call(f"POST {PROFILE}", numbers.id, body=wrong)
    assert (status, problem.get("field")) == (422, field)
    assert numbers.graph.asked == []


# Callback overrides


def test_an_override_is_set_with_its_token_sealed_and_removed(numbers: Numbers) -> None:
    answer = numbers.desk.ok(f"PUT {CALLBACK}", numbers.id, body=OVERRIDE)
    assert answer == {"url": URL}
    given = {"override_callback_uri": URL, "verify_token": "open sesame"}
    (asked,) = numbers.graph.asked
    assert asked == Asked("POST", numbers.id, {}, {"webhook_configuration": given}, numbers.token)
    row = numbers.row()
    sealed = f"{numbers.desk.place.tenant_id}/verify_token/open sesame".encode()
    assert (row["webhook_url"], bytes(row["webhook_verify_token_sealed"])) == (URL, sealed)
    shown = numbers.show()
    assert shown["webhook_url"] == URL
    assert "sesame" not in json.dumps(shown)

    assert numbers.desk.ok(f"DELETE {CALLBACK}", numbers.id) == {"url": None}
    assert numbers.graph.asked[1].body == {"webhook_configuration": {"override_callback_uri": ""}}
    row = numbers.row()
    assert (row["webhook_url"], row["webhook_verify_token_sealed"]) == (None, None)


def test_where_webhooks_go_is_read_from_meta(numbers: Numbers) -> None:
    configuration = {
        "phone_number": URL,
        "whatsapp_business_account": "https://b.example/x",
        "application": "https://c.example/x",
    }
    numbers.node(webhook_configuration=configuration)
    assert numbers.desk.ok(f"GET {CALLBACK}", numbers.id) == {
        "phone_number_id": numbers.id,
        "url": URL,
        "account_url": "https://b.example/x",
        "app_url": "https://c.example/x",
    }
    (asked,) = numbers.graph.asked
    assert asked.query == {"fields": "webhook_configuration"}
    numbers.node()
    assert numbers.desk.ok(f"GET {CALLBACK}", numbers.id)["url"] is None


def test_an_override_set_elsewhere_is_taken_up_and_its_token_is_not_ours(numbers: Numbers) -> None:
    numbers.at()
    numbers.desk.ok(f"PUT {CALLBACK}", numbers.id, body=OVERRIDE)
    numbers.at(minutes=1)
    numbers.node(webhook_configuration={"phone_number": URL})
    numbers.desk.ok(SYNC, numbers.id)
    assert numbers.row()["webhook_verify_token_sealed"] is not None
    numbers.at(minutes=2)
    numbers.node(webhook_configuration={"phone_number": "https://b.example/x"})
    assert numbers.desk.ok(SYNC, numbers.id)["webhook_url"] == "https://b.example/x"
    assert numbers.row()["webhook_verify_token_sealed"] is None
    numbers.at(minutes=3)
    numbers.node(webhook_configuration={})
    assert numbers.desk.ok(SYNC, numbers.id)["webhook_url"] is None


def test_what_was_asked_before_an_override_does_not_undo_it(numbers: Numbers) -> None:
    numbers.at(seconds=0)

    def change_meanwhile(asked: Asked) -> tuple[int, Any]:
        if asked.method == "GET":
            numbers.at(seconds=0.2)
            numbers.desk.ok(f"PUT {CALLBACK}", numbers.id, body=OVERRIDE)
            return 200, {"id": numbers.id, "webhook_configuration": {}}
        return 200, {"success": True}

    numbers.graph.answer = change_meanwhile
    assert numbers.desk.ok(SYNC, numbers.id)["webhook_url"] == URL


@pytest.mark.parametrize("route", [CALLBACK, ACCOUNT])
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"url": "http://acme.example/x"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://:443/x"}, "url"),
        ({"url": "https://[::1/x"}, "url"),
        *(({"url": f"https://a.example:{port}/x"}, "url") for port in ("x", 65536, -1, 0)),
        ({"url": "https://a.example/" + "x" * 183}, "url"),
        ({"verify_token": ""}, "verify_token"),
    ],
)
def test_an_override_is_checked_before_meta_is_asked(
    numbers: Numbers, route: str, wrong: Made, field: str
) -> None:
    wanted = numbers.id if route == CALLBACK else numbers.desk.place.waba_id
    status, problem = numbers.desk.call(f"PUT {route}", wanted, body={**OVERRIDE, **wrong})
    assert (status, problem["field"]) == (422, field)
    assert "sesame" not in json.dumps(problem)
    assert numbers.graph.asked == []


def test_an_override_that_meta_refuses_is_not_kept(numbers: Numbers) -> None:
    numbers.graph.refuse(2200, "(#2200) Callback verification failed")
    waba_id = numbers.desk.place.waba_id
    status, problem = numbers.desk.call(f"PUT {CALLBACK}", numbers.id, body=OVERRIDE)
    assert (status, problem["error"]["code"]) == (502, 2200)
    assert numbers.desk.call(f"PUT {ACCOUNT}", waba_id, body=OVERRIDE)[0] == 502
    assert numbers.row()["webhook_url"] is numbers.account_row()["webhook_url"] is None


def test_an_accounts_override_is_a_member_of_its_subscription(numbers: Numbers) -> None:
    waba_id = numbers.desk.place.waba_id
    assert numbers.desk.ok(f"PUT {ACCOUNT}", waba_id, body=OVERRIDE) == {"url": URL}
    path = f"{waba_id}/subscribed_apps"
    body = {"override_callback_uri": URL, "verify_token": "open sesame"}
    assert numbers.graph.asked == [Asked("POST", path, {}, body, numbers.token)]
    row = numbers.account_row()
    sealed = f"{numbers.desk.place.tenant_id}/verify_token/open sesame".encode()
    assert (row["webhook_url"], bytes(row["webhook_verify_token_sealed"])) == (URL, sealed)
    assert numbers.show()["account"]["webhook_url"] == URL

    assert numbers.desk.ok(f"DELETE {ACCOUNT}", waba_id) == {"url": None}
    assert numbers.graph.asked[1] == Asked("POST", path, {}, None, numbers.token)
    row = numbers.account_row()
    assert (row["webhook_url"], row["webhook_verify_token_sealed"]) == (None, None)


def app(app_id: str, url: str | None = None) -> Made:
    entry: Made = {"whatsapp_business_api_data": {"id": app_id, "name": f"App {app_id}"}}
    return {**entry, "override_callback_uri": url} if url else entry


def test_our_app_is_told_from_others_of_the_account(numbers: Numbers) -> None:
    waba_id = numbers.desk.place.waba_id
    numbers.graph.say({"data": [app("1", URL)]})
    shown = numbers.desk.ok(f"GET {ACCOUNT}", waba_id)
    assert shown == {
        "waba_id": waba_id,
        "url": URL,
        "apps": [{"app_id": "1", "name": "App 1", "url": URL}],
    }
    # Two: which is the operator's, only what was set from here can tell.
    numbers.graph.say({"data": [app("1"), app("2", URL)]})
    assert numbers.desk.ok(f"GET {ACCOUNT}", waba_id)["url"] is None
    numbers.graph.say({"success": True})
    numbers.desk.ok(f"PUT {ACCOUNT}", waba_id, body=OVERRIDE)
    numbers.graph.say({"data": [app("1"), app("2", URL)]})
    assert numbers.desk.ok(f"GET {ACCOUNT}", waba_id)["url"] == URL
    numbers.desk.world.everything.execute(
        "insert into messaging.meta_apps (app_id, tenant_id, app_secret_sealed,"
        " verify_token_sealed) values ('1', %s, 'x', 'x')",
        (numbers.desk.place.tenant_id,),
    )
    numbers.desk.world.everything.execute(
        "update messaging.whatsapp_business_accounts set app_id = '1' where waba_id = %s",
        (waba_id,),
    )
    assert numbers.desk.ok(f"GET {ACCOUNT}", waba_id)["url"] is None
    numbers.graph.say({"data": []})
    assert numbers.desk.ok(f"GET {ACCOUNT}", waba_id)["apps"] == []


def test_a_number_without_a_token_asks_nobody(numbers: Numbers) -> None:
    numbers.desk.place.set_number(access_token_sealed=None)
    assert numbers.show()["has_token"] is False
    for route in (SYNC, f"GET {PROFILE}", f"GET {CALLBACK}"):
        assert numbers.desk.call(route, numbers.id)[0] == 422
    assert numbers.graph.asked == []
