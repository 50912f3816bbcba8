"""Every route of functions/manage: guarded by key and scope, blind to another tenant, strict."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from functions.manage import app
from local.ports import free_port
from switchboard.access import SCOPES
from switchboard.inbox import conversations
from switchboard.kernel.arguments import LIMIT
from switchboard.kernel.errors import Unavailable
from switchboard.kernel.settings import Settings
from switchboard.tools import Tools
from tests import api_document
from tests.managing import START, Desk, column

ROUTES = {
    name: guarded for resource in app.RESOURCES for name, guarded in app.routes(resource).items()
}
ONE = [route for route in ROUTES if "id}" in route]
#: Neither a list nor one thing: Meta is asked.
ASKS = ["GET /v1/blocks", "GET /v1/flows/public-key", "GET /v1/calls/permission"]
LISTS = [
    route
    for route in ROUTES
    if route.startswith("GET ") and "id}" not in route and route not in ASKS
]
#: What asks Meta for a business account or a number that the body or the address names.
ASKED = {
    "POST /v1/media",
    "POST /v1/blocks",
    "DELETE /v1/blocks",
    "POST /v1/flows",
    "POST /v1/flows/sync",
    "POST /v1/flows/public-key",
    "DELETE /v1/catalog/products",
    "DELETE /v1/prices",
    "POST /v1/templates",
    "POST /v1/templates/sync",
}
WRITES = [route for route in ROUTES if not route.startswith("GET ")]
SESSION = {"sdp_type": "offer", "sdp": "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"}
#: A body that the route takes, where an empty one will not do.
BODIES: dict[str, Any] = {
    "POST /v1/templates": {
        "waba_id": "7",
        "name": "order_ready",
        "category": "UTILITY",
        "language": "en_US",
        "components": [{"type": "BODY", "text": "Your order is ready."}],
    },
    "POST /v1/templates/sync": {"waba_id": "7"},
    "POST /v1/templates/{id}": {"category": "UTILITY"},
    "POST /v1/media": {"from": "7", "link": "https://a.example/x"},
    "POST /v1/blocks": {"from": "7", "users": ["4915550000001"]},
    "DELETE /v1/blocks": {"from": "7", "users": ["4915550000001"]},
    "PATCH /v1/numbers/{id}": {"auto_mark_read": True},
    "POST /v1/numbers/{id}/profile": {"about": "Open"},
    "PUT /v1/numbers/{id}/callback": {"url": "https://a.example/x", "verify_token": "x"},
    "PUT /v1/accounts/{id}/callback": {"url": "https://a.example/x", "verify_token": "x"},
    "POST /v1/flows": {"waba_id": "7", "name": "booking", "categories": ["OTHER"]},
    "POST /v1/flows/sync": {"waba_id": "7"},
    "POST /v1/flows/public-key": {"business_public_key": "x"},
    "POST /v1/flows/{id}": {"name": "booking"},
    "POST /v1/flows/{id}/assets": {"flow_json": {}},
    "PUT /v1/catalog/products": {"products": [{"catalog_id": "9", "product_retailer_id": "mug"}]},
    "POST /v1/calls": {"from": "7", "to": "4915550000001", "session": SESSION},
    "POST /v1/calls/{id}/accept": {"session": {**SESSION, "sdp_type": "answer"}},
    "POST /v1/calls/{id}/pre-accept": {"session": {**SESSION, "sdp_type": "answer"}},
    "POST /v1/conversations/{id}/assign": {"user": None},
    "POST /v1/conversations/{id}/tags": {"add": ["vip"]},
    "POST /v1/conversations/{id}/read": {"typing": True},
    "PATCH /v1/conversations/{id}": {"is_pinned": True},
    "PATCH /v1/contacts/{id}": {"name": "Mine now"},
    "PUT /v1/contacts/{id}/preferences": {"marketing": False},
    "PATCH /v1/contacts/{id}/preferences": {"marketing": False},
    "POST /v1/jobs/{id}/snooze": {"until": "2020-01-01T00:00:00Z"},
    "POST /v1/dead-letters/replay": {"since": "2020-01-01T00:00:00Z"},
    "POST /v1/consents": {"contact_id": str(UUID(int=9)), "state": "given", "wording": "form"},
    "POST /v1/verifications": {
        "from": "7",
        "to": "4915550000009",
        "template": {"name": "code", "language": "en"},
    },
    "POST /v1/verifications/{id}/check": {"code": "123456"},
    "PUT /v1/trips/{external_id}": {"contact_id": str(UUID(int=9))},
    "PUT /v1/bookings/{external_id}": {"contact_id": str(UUID(int=9))},
    "POST /v1/trips/bulk": {"trips": [{"external_id": "X-1"}]},
    "POST /v1/bookings/bulk": {"bookings": [{"external_id": "X-1"}]},
    "POST /v1/consents/batch": {
        "consents": [{"contact_id": str(UUID(int=9)), "state": "given", "wording": "form"}]
    },
    "POST /v1/lists": {"name": "Spring fair"},
    "POST /v1/lists/{id}/members": {"members": [{"phone": "4915550000001"}]},
    "DELETE /v1/lists/{id}/members": {"phones": ["4915550000001"]},
    "POST /v1/audiences/count": {"audience": {"type": "all_contacts"}},
    "POST /v1/campaigns": {
        "name": "Spring",
        "from": "7",
        "template": "order_ready",
        "audience": {"type": "all_contacts"},
    },
    "PATCH /v1/campaigns/{id}": {"name": "Autumn"},
    "POST /v1/campaigns/{id}/preview": {"contact_id": str(UUID(int=9))},
    "POST /v1/campaigns/{id}/schedule": {"scheduled_at": "2040-01-01T09:00"},
    "PUT /v1/prices": {
        "rates": [
            {
                "currency": "EUR",
                "valid_from": "2026-10-01",
                "category": "utility",
                "market": "MX",
                "amount": "0.01",
            }
        ]
    },
    "POST /v1/rules": {
        "name": "Reminder",
        "trigger_type": "trip_start",
        "trigger_config": {"days_before": 1},
        "action_type": "send_whatsapp",
        "action_config": {"template": "trip_reminder"},
    },
    "POST /v1/rules/dry-run": {
        "name": "Reminder",
        "trigger_type": "trip_start",
        "trigger_config": {"days_before": 1},
        "action_type": "send_whatsapp",
        "action_config": {"template": "trip_reminder"},
    },
    "PATCH /v1/rules/{id}": {"is_active": False},
    "POST /v1/email-templates": {"name": "soon", "subject": "Soon", "text_body": "Soon."},
    "PATCH /v1/email-templates/{id}": {"subject": "Soon"},
    "DELETE /v1/email-suppressions/{id}": {"wording": "asked for it"},
    "POST /v1/agent-endpoints": {"name": "concierge", "url": "https://127.0.0.1/run"},
    "PATCH /v1/agent-endpoints/{id}": {"url": "https://127.0.0.1/run"},
    "POST /v1/subscriptions": {"url": "https://127.0.0.1/hook", "kinds": ["message"]},
    "PATCH /v1/subscriptions/{id}": {"kinds": ["status"]},
}
#: What a tenant is answered that names another's contact or number, or makes one of its own.
FOREIGN = {
    "POST /v1/consents": 404,
    "POST /v1/verifications": 404,
    "POST /v1/subscriptions": 201,
    "POST /v1/rules": 201,
    "POST /v1/rules/dry-run": 200,  # of its own facts
    "POST /v1/email-templates": 201,
    "POST /v1/agent-endpoints": 201,
    "POST /v1/lists": 201,
    "POST /v1/campaigns": 404,  # another's number
    "POST /v1/audiences/count": 200,  # of its own
    "PUT /v1/prices": 200,
}
#: The same for the one member of a batch.
RESULTS = {
    "PUT /v1/catalog/products": 200,
    "POST /v1/consents/batch": 404,
    "POST /v1/trips/bulk": 422,
    "POST /v1/bookings/bulk": 422,
}
#: Bytes of a body, where they are not LIMIT.
LIMITS = {
    "POST /v1/flows": 10 * 1024 * 1024 + 65_536,
    "POST /v1/flows/{id}/assets": 10 * 1024 * 1024 + 65_536,
    "PUT /v1/catalog/products": 5_000_000,
    "POST /v1/consents/batch": 4_000_000,
    "POST /v1/trips/bulk": 5_000_000,
    "POST /v1/bookings/bulk": 5_000_000,
    "POST /v1/lists/{id}/members": 4_500_000,
    "PUT /v1/prices": 4_500_000,
    "POST /v1/calls": 196_608,
    "POST /v1/calls/{id}/accept": 196_608,
    "POST /v1/calls/{id}/pre-accept": 196_608,
}


def fill(desk: Desk) -> dict[str, str]:
    """Give the desk's tenant one of everything; return the id of each resource's."""
    desk.take(
        {
            "from": "4915550000001",
            "id": "wamid.4915550000001.0000",
            "timestamp": str(int(START.timestamp())),
            "type": "image",
            "image": {"id": "777", "mime_type": "image/jpeg", "sha256": "abc"},
        },
        "4915550000001",
    )
    (message,) = desk.place.rows("whatsapp_messages")
    (file,) = desk.place.rows("media")
    desk.set("media", file["id"], status="stored", s3_key=f"{desk.place.tenant_id}/media/x/file")
    body = json.dumps({"object": "whatsapp_business_account", "entry": [7]}).encode()
    desk.world.everything.execute(
        "insert into messaging.webhook_dead_letters (tenant_id, sha256, body, reason)"
        " values (%s, %s, %s, 'malformed')",
        (desk.place.tenant_id, hashlib.sha256(body).digest(), body),
    )
    (letter,) = desk.place.rows("webhook_dead_letters")
    desk.world.everything.execute(
        "insert into messaging.consents (tenant_id, contact_id, scope, state, source,"
        " statement_sha256, occurred_at) values (%s, %s, 'messages', 'given', 'api',"
        " sha256('x'), now())",
        (desk.place.tenant_id, message["contact_id"]),
    )
    desk.world.everything.execute(
        "insert into messaging.whatsapp_account_events (tenant_id, waba_id, field, event, detail,"
        " sha256) values (%s, %s, 'security', 'PIN_CHANGED', '{}', sha256('x'))",
        (desk.place.tenant_id, desk.place.waba_id),
    )
    desk.world.everything.execute(
        "insert into messaging.event_subscriptions (tenant_id, url, kinds, secret_sealed)"
        " values (%s, 'https://acme.example/hook', '{message}', 'x')",
        (desk.place.tenant_id,),
    )
    (subscription,) = desk.place.rows("event_subscriptions")
    desk.world.everything.execute(
        "insert into messaging.event_deliveries (tenant_id, subscription_id, kind, event_sha256)"
        " values (%s, %s, 'test', sha256('x'))",
        (desk.place.tenant_id, subscription["id"]),
    )
    desk.world.everything.execute(
        "insert into messaging.tracked_links (tenant_id, token, url, message_id, account_id,"
        " contact_id, conversation_id) values (%s, 'a-token-of-22-characters', 'https://x.example',"
        " %s, %s, %s, %s)",
        (
            desk.place.tenant_id,
            message["id"],
            message["account_id"],
            message["contact_id"],
            message["conversation_id"],
        ),
    )
    desk.world.everything.execute(
        "insert into messaging.call_logs (tenant_id, account_id, wa_call_id, direction,"
        " occurred_at) values (%s, %s, 'wacid.1', 'inbound', now())",
        (desk.place.tenant_id, desk.place.account_id),
    )
    (call,) = desk.place.rows("call_logs")
    desk.world.everything.execute(
        "insert into messaging.whatsapp_flows (tenant_id, waba_id, flow_id) values (%s, %s, '66')",
        (desk.place.tenant_id, desk.place.waba_id),
    )
    desk.world.everything.execute(
        "insert into messaging.flow_sessions (tenant_id, account_id, contact_id, flow_id,"
        " flow_token, flow_type) values (%s, %s, %s, '66', 't-1', 'navigate')",
        (desk.place.tenant_id, desk.place.account_id, message["contact_id"]),
    )
    (session,) = desk.place.rows("flow_sessions")
    desk.world.everything.execute(
        "insert into messaging.catalog_products"
        " (tenant_id, catalog_id, product_retailer_id, source) values (%s, '9', 'mug', 'order')",
        (desk.place.tenant_id,),
    )
    desk.world.everything.execute(
        "insert into messaging.whatsapp_templates (tenant_id, waba_id, name, language)"
        " values (%s, %s, 'order_ready', 'en_US')",
        (desk.place.tenant_id, desk.place.waba_id),
    )
    (template,) = desk.place.rows("whatsapp_templates")
    for table, external_id in (("trips", "T-1001"), ("bookings", "B-2001")):
        desk.world.everything.execute(
            psycopg.sql.SQL(
                "insert into messaging.{} (tenant_id, external_id, contact_id, status, as_of)"
                " values (%s, %s, %s, 'completed', now())"
            ).format(psycopg.sql.Identifier(table)),
            (desk.place.tenant_id, external_id, message["contact_id"]),
        )
    desk.world.everything.execute(
        "insert into messaging.phone_verifications (tenant_id, id, contact_id, account_id, phone,"
        " status, expires_at) values (%s, %s, %s, %s, '4915550000001', 'unsent',"
        " clock_timestamp() + interval '1 minute')",
        (desk.place.tenant_id, message["id"], message["contact_id"], message["account_id"]),
    )
    desk.world.everything.execute(
        "delete from messaging.scheduled_jobs where tenant_id = %s", (desk.place.tenant_id,)
    )
    desk.world.everything.execute(
        "insert into messaging.scheduled_jobs (tenant_id, id, job_type)"
        " overriding system value values (%s, 987654321, 'notify')",
        (desk.place.tenant_id,),
    )
    desk.world.everything.execute(
        "insert into messaging.contact_lists (tenant_id, id, name) values (%s, %s, 'Autumn fair')",
        (desk.place.tenant_id, message["id"]),
    )
    (people,) = desk.place.rows("contact_lists")
    desk.world.everything.execute(
        "insert into messaging.whatsapp_campaigns (tenant_id, id, account_id, name, template_id,"
        " audience_type, audience_config) values (%s, %s, %s, 'Winter', %s, 'all_contacts', '{}')",
        (desk.place.tenant_id, message["id"], message["account_id"], template["id"]),
    )
    desk.world.everything.execute(
        "insert into messaging.automation_rules (tenant_id, name, trigger_type, trigger_config,"
        " action_type, action_config) values (%s, 'Reminder', 'trip_start', '{\"days_before\": 1}',"
        " 'send_whatsapp', '{\"template\": \"reminder\"}')",
        (desk.place.tenant_id,),
    )
    (rule,) = desk.place.rows("automation_rules")
    desk.world.everything.execute(
        "insert into messaging.price_rates (tenant_id, currency, valid_from, category, country,"
        " market, amount) values (%s, 'EUR', '2026-10-01', 'utility', 'MX', 'MX', 0.02)",
        (desk.place.tenant_id,),
    )
    desk.world.everything.execute(
        "insert into messaging.email_templates (tenant_id, id, name, language, subject, text_body)"
        " values (%s, %s, 'reminder', 'en', 'Soon', 'Soon.')",
        (desk.place.tenant_id, message["id"]),
    )
    desk.world.everything.execute(
        "insert into messaging.emails (tenant_id, id, contact_id, template_name, language,"
        " category, address, subject, text_body, status, due_at, expires_at) values (%s, %s, %s,"
        " 'reminder', 'en', 'utility', 'a@b.example', 'Soon', 'Soon.', 'sent', now(), now())",
        (desk.place.tenant_id, message["id"], message["contact_id"]),
    )
    desk.world.everything.execute(
        "insert into messaging.email_suppressions (tenant_id, id, address, reason, email_id,"
        " contact_id, occurred_at, created_at)"
        " values (%s, %s, 'a@b.example', 'bounce', %s, %s, now(), now())",
        (desk.place.tenant_id, message["id"], message["id"], message["contact_id"]),
    )
    desk.world.everything.execute(
        "insert into messaging.agent_endpoints (tenant_id, id, name, url, secret_sealed)"
        " values (%s, %s, 'guide', 'https://acme.example/run', 'x')",
        (desk.place.tenant_id, message["id"]),
    )
    mail = dict.fromkeys(
        ("email_templates", "emails", "email_suppressions", "agent_endpoints"), str(message["id"])
    )
    return {
        **mail,
        "jobs": "987654321",
        "lists": str(people["id"]),
        "campaigns": str(message["id"]),
        "rules": str(rule["id"]),
        "trips": "T-1001",
        "bookings": "B-2001",
        "verifications": str(message["id"]),
        "templates": str(template["id"]),
        "flows": "66",
        "numbers": desk.place.phone_number_id,
        "accounts": desk.place.waba_id,
        "flow_sessions": str(session["id"]),
        "calls": str(call["id"]),
        "contacts": str(message["contact_id"]),
        "conversations": str(message["conversation_id"]),
        "media": str(file["id"]),
        "dead_letters": str(letter["id"]),
        "subscriptions": str(subscription["id"]),
    }


def resource_of(route: str) -> str:
    return route.split("/")[2].replace("-", "_")


def rows_of(desk: Desk) -> dict[str, Any]:
    """Return every row of the desk's tenant that a route could show or change."""
    tables = ("contacts", "whatsapp_conversations", "whatsapp_messages", "media")
    others = ("webhook_dead_letters", "scheduled_jobs", "consents", "whatsapp_account_events")
    subscriptions = ("event_subscriptions", "event_deliveries", "call_logs")
    codes = ("tracked_links", "phone_verifications", "contact_lists", "automation_rules")
    templates = ("whatsapp_templates", "trips", "bookings")
    flows = ("flow_sessions", "whatsapp_accounts")
    mail = ("email_templates", "emails", "email_suppressions", "agent_endpoints")
    return {
        table: sorted(desk.place.rows(table), key=lambda row: str(row["id"]))
        for table in (*tables, *others, *subscriptions, *codes, *flows, *templates, *mail)
    }


def test_every_resource_of_the_folder_has_routes_of_its_own_name() -> None:
    assert {
        "account_events",
        "calls",
        "catalog",
        "consents",
        "contacts",
        "conversations",
        "links",
        "media",
        "numbers",
        "accounts",
        "blocks",
        "agent_endpoints",
        "dead_letters",
        "email_suppressions",
        "email_templates",
        "emails",
        "flow_sessions",
        "flows",
        "jobs",
        "rules",
        "subscriptions",
        "templates",
    } <= set(app.RESOURCES)
    for resource in app.RESOURCES:
        for route in app.routes(resource):
            assert resource_of(route) == resource
    assert {guarded.scope for guarded in ROUTES.values()} <= SCOPES.keys()
    # What is only looked at, too long for an address.
    tried = {"POST /v1/rules/dry-run", "POST /v1/rules/{id}/dry-run"}
    looks = tried | {
        "POST /v1/templates/{id}/preview",
        "POST /v1/campaigns/{id}/preview",
        "POST /v1/audiences/count",
    }
    for route in WRITES:
        assert ROUTES[route].scope.endswith(":write") or route in looks, route


def test_lambda_finds_the_resources_beside_the_handler() -> None:
    """There the folder is all there is, and the handler's module is called app."""
    root = Path(__file__).parents[2]
    program = (
        "import sys, app\n"
        "assert not set(app.RESOURCES.values()) & {*sys.modules, *sys.stdlib_module_names}\n"
        "print(sum(len(app.routes(resource)) for resource in app.RESOURCES))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": f"{root / 'layers/common'}:{root / 'functions/manage'}"},
        cwd=root / "functions" / "manage",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, str(len(ROUTES))), done.stderr


def test_a_second_tenant_sees_and_changes_nothing(desk: Desk) -> None:
    ids = fill(desk)
    before = rows_of(desk)
    other = desk.world.place()
    key = other.add_key(*SCOPES)
    # Its number, and the job of the replay that it asks for on the way.
    own = {
        "GET /v1/numbers": ("phone_number_id", other.phone_number_id),
        "GET /v1/jobs": ("type", "replay_dead_letters"),
    }
    for route in ROUTES:
        given = [ids[resource_of(route)]] if "id}" in route else []
        status, document = desk.call(route, *given, key=key, body=BODIES.get(route))
        if given:
            assert status == 404, (route, document)
            assert given[0] not in str(document)
        elif route in own:
            member, value = own[route]
            assert column(document["data"], member) == [value]
        elif route in LISTS:
            assert (status, document) == (200, {"data": [], "next_cursor": None}), route
        elif route in {*ASKS, "POST /v1/calls"}:  # without a number, or from another's
            assert status in {400, 404}, (route, document)
        elif route in ASKED:  # another's business account or number, nothing named
            assert status in {400, 404, 422}, (route, document)
        elif route in RESULTS:
            assert [one["status_code"] for one in document["results"]] == [RESULTS[route]], document
        elif route in FOREIGN:
            assert status == FOREIGN[route], document
        else:
            assert status == 202, (route, document)
    after = rows_of(desk)
    assert after == before
    # The tenant itself finds all of it by the same calls.
    for route in LISTS:
        assert len(desk.ok(route)["data"]) == 1, route
    for route in ONE:
        if route.startswith("GET ") and not route.endswith(
            ("/address", "/preview", "/profile", "/callback")
        ):
            desk.ok(route, ids[resource_of(route)])


def test_a_key_without_the_scope_is_refused_and_no_key_is_nobody(desk: Desk) -> None:
    ids = fill(desk)
    before = rows_of(desk)
    for route, guarded in ROUTES.items():
        given = [ids[resource_of(route)]] if "id}" in route else []
        others = desk.place.add_key(*(SCOPES.keys() - {guarded.scope}))
        status, problem = desk.call(route, *given, key=others, body=BODIES.get(route))
        assert status == 403, route
        assert guarded.scope in problem["detail"]
        status, problem = desk.call(route, *given, key="sb_nobody", body=BODIES.get(route))
        assert status == 401, route
        only = desk.place.add_key(guarded.scope)
        unknown = [uuid4() for _ in given]
        status = desk.call(route, *unknown, key=only, body=BODIES.get(route))[0]
        assert status in {200, 201, 202, 404} or (status == 400 and route in {*ASKS, *ASKED})
    # With the right key one of each of these was made.
    made = {
        "email_templates": 0,
        "agent_endpoints": 0,
        "scheduled_jobs": 0,
        "event_subscriptions": 0,
        "contact_lists": 0,
        "automation_rules": 0,
    }
    assert {**rows_of(desk), **made} == {**before, **made}
    assert len(desk.place.rows("event_subscriptions")) == 2


@pytest.mark.parametrize("wrong", ["7", "me", "0d5f3c1e", "../../x", str(UUID(int=0))])
def test_what_is_no_id_is_not_known(desk: Desk, wrong: str) -> None:
    for route in ONE:
        status, problem = desk.call(route, wrong, body=BODIES.get(route))
        # What would be made under an id that can be none is refused, not unknown.
        makes = route.startswith("PUT ") and "{external_id}" in route and "/" in wrong
        assert status == (422 if makes else 404), (route, problem)


def test_a_parameter_or_member_that_is_not_known_is_refused_by_its_name(desk: Desk) -> None:
    ids = fill(desk)
    for route in ROUTES:
        given = [ids[resource_of(route)]] if "id}" in route else []
        if route in WRITES:
            body = {**BODIES.get(route, {}), "colour": "red"}
            status, problem = desk.call(route, *given, body=body)
            assert (status, problem.get("field")) == (422, "colour"), route
        elif route in LISTS or route.count("/") > 3:
            status, problem = desk.call(route, *given, colour="red")
            assert (status, problem.get("field")) == (400, "colour"), route


def test_a_body_has_a_limit_and_is_an_object(desk: Desk) -> None:
    ids = fill(desk)
    for route in WRITES:
        given = [ids[resource_of(route)]] if "id}" in route else []
        limit = LIMITS.get(route, LIMIT)
        assert desk.call(route, *given, body="x" * (limit + 1))[0] == 413, route
        for body in ("[]", "7", "{no"):
            assert desk.call(route, *given, body=body)[0] == 400, route


def test_a_route_of_tomorrow_is_not_found(desk: Desk) -> None:
    for route in (
        "GET /v1/app",
        "GET /v1/contacts/{id}/x",
        "GET /v1",
        "GET /v1/../x",
        "DELETE /v1/contacts/{id}",
    ):
        ids = [uuid4()] * route.count("{")
        assert desk.call(route, *ids)[0] == 404, route


def test_the_iam_variants_of_the_routes_are_the_same(desk: Desk) -> None:
    event = {
        "version": "2.0",
        "routeKey": "GET /iam/v1/contacts",
        "headers": {"x-api-key": desk.key, "authorization": "AWS4-HMAC-SHA256 Credential=x"},
        "requestContext": {"http": {"method": "GET", "path": "/iam/v1/contacts"}},
    }
    response = app.handler(event, None)
    assert response["statusCode"] == 200
    assert json.loads(response["body"]) == {"data": [], "next_cursor": None}


def test_a_lost_connection_is_made_again(desk: Desk) -> None:
    conversation_id = UUID(desk.hear("4915550000001"))

    def cut() -> None:
        desk.world.everything.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where usename = 'app' and datname = current_database()"
        )

    assert len(desk.ok("GET /v1/conversations")["data"]) == 1
    cut()
    assert len(desk.ok("GET /v1/conversations")["data"]) == 1
    # Behind the key's look-up, which has its own second try.
    cut()
    closed = conversations.move(desk.made, desk.place.tenant_id, conversation_id, "closed")
    assert closed.status == "closed"


def test_a_lock_that_is_held_for_a_moment_is_waited_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation_id = UUID(desk.hear("4915550000001"))
    connection = desk.made.db.connection()
    connection.execute("set lock_timeout = '50ms'")
    with psycopg.connect(desk.world.database.superuser_url) as other:
        other.execute("select from messaging.whatsapp_conversations for update")
        with pytest.raises(Unavailable):
            conversations.move(desk.made, desk.place.tenant_id, conversation_id, "closed")
        # Let go while the second try is waited for.
        monkeypatch.setattr("switchboard.transact.time.sleep", lambda _: other.rollback())
        closed = conversations.move(desk.made, desk.place.tenant_id, conversation_id, "closed")
    assert closed.status == "closed"


def test_a_database_that_is_away_is_told(desk: Desk) -> None:
    desk.made = Tools(Settings(database_url=f"postgresql://app@127.0.0.1:{free_port()}/x"))
    status, problem = desk.call("GET /v1/conversations")
    assert (status, problem["title"]) == (503, "Service unavailable")


def test_a_dead_letter_is_listed_shown_and_replayed(desk: Desk) -> None:
    letter_id = fill(desk)["dead_letters"]
    (listed,) = desk.ok("GET /v1/dead-letters", reason="malformed")["data"]
    assert listed["id"] == letter_id
    assert "body" not in listed
    shown = desk.ok("GET /v1/dead-letters/{id}", letter_id)
    assert json.loads(shown["text"])["entry"] == [7]
    assert desk.ok("GET /v1/dead-letters", reason="not_json")["data"] == []
    again = desk.ok("POST /v1/dead-letters/{id}/replay", letter_id)
    assert (again["id"], again["replays"]) == (letter_id, 1)
    status, made = desk.call("POST /v1/dead-letters/replay", body={"ids": [letter_id]})
    assert status == 202
    assert isinstance(made["job_id"], int)
    assert desk.call("POST /v1/dead-letters/replay", body={})[0] == 422


def test_a_cursor_of_dead_letters_belongs_to_its_filters(desk: Desk) -> None:
    route = "GET /v1/dead-letters"
    for name in ("one", "two", "three"):
        desk.world.everything.execute(
            "insert into messaging.webhook_dead_letters (tenant_id, sha256, body, reason, field)"
            " values (%s, sha256(%s), %s, 'malformed', 'messages')",
            (desk.place.tenant_id, name.encode(), name.encode()),
        )
    cursor = desk.ok(route, limit=1)["next_cursor"]
    assert len(desk.ok(route, limit=2, cursor=cursor)["data"]) == 2
    assert len(desk.pages(route, limit=1)) == 3
    others = [
        *({name: "malformed"} for name in ("reason", "field")),
        *({"state": state} for state in ("resolved", "all")),
        *({name: "2020-01-01T00:00:00Z"} for name in ("since", "until")),
    ]
    refused = desk.call("GET /v1/contacts", cursor=cursor)[1]
    assert refused["field"] == "cursor"
    for filters in others:
        status, problem = desk.call(route, cursor=cursor, **filters)
        assert (status, problem["title"]) == (400, refused["title"]), filters


def test_what_is_answered_has_the_members_that_the_document_names(desk: Desk) -> None:
    ids = fill(desk)
    schemas = api_document.document()["components"]["schemas"]
    checked = 0
    for route, told in api_document.OPERATIONS.items():
        name = told.answers.removesuffix("[]")
        shown = {"AccountEvent", "Consent", "Contact", "Conversation", "Message", "Media", "Letter"}
        shown |= {
            "Trip",
            "Booking",
            "Link",
            "Subscription",
            "Delivery",
            "SubscriptionSecret",
            "PutTest",
            "Template",
        }
        # Templates are made and changed by Meta, which nobody plays here.
        asks_meta = name == "Template" and not route.startswith("GET")
        if route not in ROUTES or name not in shown or route == "POST /v1/consents" or asks_meta:
            continue
        given = [ids[resource_of(route)]] if "id}" in route else []
        status, document = desk.call(route, *given, body=BODIES.get(route))
        assert status == told.status, (route, document)
        rows = document["data"] if told.answers.endswith("[]") else [document]
        for row in rows:
            checked += 1
            assert row.keys() == schemas[name]["properties"].keys(), route
    assert checked >= 28
