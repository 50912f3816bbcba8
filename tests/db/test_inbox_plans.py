"""Every list of the inbox walks an index, planned for its values and for any values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from local.postgres import PostgresServer
from switchboard.kernel.db import queries
from switchboard.store.conversations import LAST_ID
from tests.databases import cloned
from tests.plans import explain, seeded

TENANT = uuid4()
THREAD = UUID(int=7)
USER, CONTACT = UUID(int=8), UUID(int=9)

SEED = """
insert into messaging.tenants (id, slug, name) values (%(tenant)s, 'plans', 'P');
insert into messaging.users (tenant_id, id, email, full_name, role)
values (%(tenant)s, %(user)s, 'a@b', 'A', 'agent');
insert into messaging.whatsapp_business_accounts (tenant_id, waba_id) values (%(tenant)s, '1');
insert into messaging.whatsapp_accounts (tenant_id, id, waba_id, phone_number_id, phone_number,
    display_name) values (%(tenant)s, %(tenant)s, '1', '2', '+15550001111', 'N');
insert into messaging.contacts (tenant_id, id)
select %(tenant)s, lpad(to_hex(n), 32, '0')::uuid from generate_series(1, 4000) as n;
insert into messaging.whatsapp_conversations (tenant_id, id, account_id, contact_id, status,
    last_message_at, assigned_user_id)
select %(tenant)s, lpad(to_hex(n), 32, '0')::uuid, %(tenant)s, lpad(to_hex(n), 32, '0')::uuid,
    (array['open', 'closed', 'closed', 'closed', 'spam'])[1 + n %% 5],
    now() - n * interval '1 minute', case when n %% 100 = 0 then %(user)s::uuid end
from generate_series(1, 4000) as n;
insert into messaging.whatsapp_messages (tenant_id, id, account_id, conversation_id, direction,
    origin, message_type, content, status, status_rank, occurred_at, wa_message_id)
select %(tenant)s, messaging.new_id(now()), %(tenant)s, lpad(to_hex(1 + n %% 50), 32, '0')::uuid,
    'inbound', 'person', 'text', '{}', 'received', 10, now() - n * interval '1 minute', n::text
from generate_series(1, 6000) as n;
insert into messaging.contact_identifiers (tenant_id, kind, value, contact_id)
select %(tenant)s, 'phone', n::text, lpad(to_hex(n), 32, '0')::uuid
from generate_series(1, 4000) as n;
insert into messaging.media (tenant_id, account_id, conversation_id, message_id, direction,
    media_type)
select %(tenant)s, %(tenant)s, conversation_id, id, 'inbound', 'image'
from messaging.whatsapp_messages;
insert into messaging.whatsapp_account_events (tenant_id, waba_id, account_id, field, event, detail,
    sha256, created_at)
select %(tenant)s, '1', case when n %% 2 = 0 then %(tenant)s::uuid end, 'security', n::text, '{}',
    sha256(n::text::bytea), now() - n * interval '1 minute'
from generate_series(1, 6000) as n;
insert into messaging.call_logs (tenant_id, account_id, wa_call_id, contact_id, occurred_at)
select %(tenant)s, %(tenant)s, n::text, lpad(to_hex(1 + n %% 50), 32, '0')::uuid,
    now() - n * interval '1 minute'
from generate_series(1, 6000) as n;
insert into messaging.message_changes (tenant_id, message_id, account_id, contact_id, wa_message_id,
    kind, wa_change_id, occurred_at)
select %(tenant)s, messaging.new_id(now()), %(tenant)s, lpad(to_hex(n), 32, '0')::uuid, n::text,
    'reaction', 'r' || n, now() from generate_series(1, 4000) as n;
insert into messaging.event_subscriptions (tenant_id, id, url, kinds, secret_sealed)
values (%(tenant)s, %(tenant)s, 'https://a.example', '{message}', 'x');
insert into messaging.event_deliveries (tenant_id, subscription_id, kind, event_sha256, state,
    finished_at, created_at)
select %(tenant)s, %(tenant)s, 'message', sha256(n::text::bytea), s.state,
    case when s.state <> 'pending' then now() end, now() - n * interval '1 minute'
from generate_series(1, 6000) as n
cross join lateral (select case when n %% 100 = 0 then 'dead' when n %% 50 = 0 then 'pending'
    else 'delivered' end as state) as s;
insert into messaging.tracked_links (tenant_id, token, url, message_id, account_id, contact_id,
    conversation_id, created_at)
select %(tenant)s, lpad(n::text, 22, 'x'), 'https://a.example',
    lpad(to_hex(n), 32, '0')::uuid, %(tenant)s, lpad(to_hex(1 + n %% 50), 32, '0')::uuid,
    lpad(to_hex(1 + n %% 50), 32, '0')::uuid, now() - n * interval '1 minute'
from generate_series(1, 4000) as n;
insert into messaging.flow_sessions (tenant_id, account_id, contact_id, flow_id, flow_token,
    flow_type, created_at)
select %(tenant)s, %(tenant)s, lpad(to_hex(n), 32, '0')::uuid, '66', n::text, 'navigate',
    now() - n * interval '1 minute'
from generate_series(1, 4000) as n;
insert into messaging.whatsapp_flows (tenant_id, waba_id, flow_id)
select %(tenant)s, '1', n::text from generate_series(1, 4000) as n;
insert into messaging.scheduled_jobs (tenant_id, job_type, status)
select %(tenant)s, 'notify', case when n %% 3 = 0 then 'failed' else 'completed' end
from generate_series(1, 6000) as n;
insert into messaging.automation_rules (tenant_id, id, name, trigger_type, action_type, created_at)
select %(tenant)s, lpad(to_hex(n), 32, '0')::uuid, n::text, 'event', 'send_whatsapp',
    now() - n * interval '1 minute' from generate_series(1, 1000) as n;
insert into messaging.automation_runs (tenant_id, rule_id, subject_id, occurrence, due_at,
    started_at)
select %(tenant)s, lpad(to_hex(1 + n %% 10), 32, '0')::uuid, %(tenant)s, n::text, now(),
    now() - n * interval '1 minute' from generate_series(1, 6000) as n;
insert into messaging.contact_lists (tenant_id, id, name, created_at)
select %(tenant)s, lpad(to_hex(n), 32, '0')::uuid, n::text, now() - n * interval '1 minute'
from generate_series(1, 4000) as n;
insert into messaging.contact_list_members (tenant_id, list_id, contact_id)
select %(tenant)s, lpad(to_hex(1 + n %% 40), 32, '0')::uuid, lpad(to_hex(n), 32, '0')::uuid
from generate_series(1, 4000) as n;
insert into messaging.price_rates (tenant_id, currency, valid_from, category, country, from_volume,
    market, amount)
select %(tenant)s, 'EUR', '2026-10-01', 'utility', 'MX', n, 'MX', 1
from generate_series(1, 4000) as n;
insert into messaging.catalog_products (tenant_id, catalog_id, product_retailer_id, source)
select %(tenant)s, '9', n::text, 'route' from generate_series(1, 4000) as n;
"""


@pytest.fixture(scope="module")
def link(template: str, postgres: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    with (
        cloned(postgres, template) as database,
        seeded(database, TENANT, SEED, {"user": USER}) as link,
    ):
        yield link


WALK: dict[str, Any] = {
    "tenant_id": TENANT,
    "before": "infinity",
    "before_id": LAST_ID,
    "empty_before": LAST_ID,
    "walk": 51,
    "limit": 50,
    "statuses": ["open", "pending", "resolved", "closed", "spam"],
    "contact_id": None,
    "user_id": None,
    "number": None,
    "tag": None,
    "unread": None,
    "archived": None,
}
CONTACTS: dict[str, Any] = {
    "tenant_id": TENANT,
    "after": UUID(int=0),
    "walk": 5000,
    "limit": 50,
    "opt_in_status": None,
    "is_blocked": None,
    "tag": "vip",
    "updated_since": None,
}
MESSAGES: dict[str, Any] = {
    "tenant_id": TENANT,
    "conversation_id": THREAD,
    "at": "infinity",
    "key": None,
    "id": None,
    "limit": 50,
}
EVENTS: dict[str, Any] = {
    "tenant_id": TENANT,
    "before": "infinity",
    "before_id": UUID(int=0),
    "since": "-infinity",
    "walk": 51,
    "limit": 50,
    "waba_id": None,
    "number": None,
    "field": None,
    "event": None,
}
LINKS: dict[str, Any] = {
    "tenant": TENANT,
    "since": "2020-01-01",
    "before": "infinity",
    "before_id": LAST_ID,
    "limit": 51,
}
SESSIONS: dict[str, Any] = {
    "tenant_id": TENANT,
    "before": "infinity",
    "before_id": UUID(int=0),
    "walk": 51,
    "limit": 50,
    "status": None,
    "contact": CONTACT,
    "flow": None,
}
CALLS: dict[str, Any] = {
    "tenant_id": TENANT,
    "before": "infinity",
    "before_id": UUID(int=0),
    "since": "-infinity",
    "walk": 51,
    "limit": 50,
    "number": None,
    "contact_id": CONTACT,
    "direction": None,
    "status": None,
}
JOBS: dict[str, Any] = {
    "tenant_id": TENANT,
    "before": 2**63 - 1,
    "walk": 51,
    "limit": 50,
    "status": None,
    "job_type": None,
    "lane": None,
    "unique_key": None,
}
_BY_RECEIPT = r"Index Scan Backward using whatsapp_account_events_received"
IDS = {"tenant_id": TENANT, "ids": [UUID(int=n) for n in range(1, 51)], "now": None}
OF_THREAD = {"tenant_id": TENANT, "id": THREAD, "limit": 1000}
#: The statement, its parameters, what its plan must say.
PLANS = [
    ("contacts", "walk", CONTACTS, ["contacts_pkey"]),
    ("contacts", "load", IDS, ["contacts_pkey", "contact_identifiers_contact"]),
    (
        "contacts",
        "find_by_identifier",
        {"tenant_id": TENANT, "kind": "phone", "value": "1"},
        ["contact_identifiers_pkey"],
    ),
    (
        "contacts",
        "find_by_external_user_id",
        {"tenant_id": TENANT, "value": "x"},
        ["contacts_tenant_id_external_user_id_key"],
    ),
    ("contacts", "find_root", {"tenant_id": TENANT, "id": CONTACT}, ["contacts_pkey"]),
    (
        "conversations",
        "walk_inbox",
        WALK,
        [r"whatsapp_conversations_inbox", r"Index Cond: .*status = .*ROW\(.*last_message_at"],
    ),
    (
        "conversations",
        "walk_user",
        {**WALK, "user_id": USER},
        [r"whatsapp_conversations_assigned"],
    ),
    (
        "conversations",
        "walk_contact",
        {**WALK, "contact_id": CONTACT},
        [r"whatsapp_conversations_contact"],
    ),
    ("conversations", "load", IDS, ["whatsapp_conversations_pkey", "contacts_pkey"]),
    (
        "conversations",
        "find_newest_inbound",
        {**OF_THREAD, "now": None},
        [r"Index Scan Backward using whatsapp_messages_\d", r"Index Cond: .*conversation_id = "],
    ),
    (
        "conversations",
        "find_unread",
        {**OF_THREAD, "occurred_at": "infinity", "wa_message_id": "x"},
        [r"whatsapp_messages_\d", r"Index Cond: .*conversation_id = .*occurred_at <= "],
    ),
    (
        "messages",
        "list_newest_first",
        MESSAGES,
        [
            r"Index Scan Backward using whatsapp_messages_\d",
            r"Index Cond: .*conversation_id = .*occurred_at <= ",
            "media_tenant_id_message_id_key",
        ],
    ),
    (
        "messages",
        "list_oldest_first",
        {**MESSAGES, "at": "-infinity"},
        [r"Index Scan using whatsapp_messages_\d", r"Index Cond: .*occurred_at >= "],
    ),
    (
        "messages",
        "find_reactions",
        {
            **MESSAGES,
            "account_id": TENANT,
            "keys": ["1", "2", "3"],
            "oldest": "2026-01-01",
            "newest": "2026-01-02",
        },
        [
            r"message_changes_target",
            r"Index Scan using whatsapp_messages_\d",
            r"Index Cond: .*conversation_id = .*occurred_at >= .*occurred_at < ",
        ],
    ),
    (
        "account_events",
        "list",
        EVENTS,
        [_BY_RECEIPT, r"Index Cond: .*created_at >= .*ROW\(.*created_at.*id.*\) < "],
    ),
    ("account_events", "list", {**EVENTS, "walk": 5000, "event": "7"}, [_BY_RECEIPT]),
    (
        "jobs_by_hand",
        "list",
        JOBS,
        ["Index Scan Backward using scheduled_jobs_pkey", r"Index Cond: .*id < "],
    ),
    (
        "jobs_by_hand",
        "list_failed",
        JOBS,
        ["Index Scan Backward using scheduled_jobs_failed", r"Index Cond: .*id < "],
    ),
    (
        "calls",
        "list",
        CALLS,
        ["Index Scan Backward using call_logs_newest", r"Index Cond: .*ROW\("],
    ),
    (
        "calls",
        "list_of_contact",
        CALLS,
        ["using call_logs_contact", r"Index Cond: .*contact_id = "],
    ),
    ("calls", "load", {"tenant_id": TENANT, "id": THREAD}, ["call_logs_pkey"]),
    (
        "links",
        "list_all",
        LINKS,
        ["Index Scan Backward using tracked_links_recent", r"created_at >= .*ROW\("],
    ),
    (
        "links",
        "list_of_conversation",
        {**LINKS, "conversation": THREAD},
        ["tracked_links_conversation"],
    ),
    ("links", "list_of_message", {**LINKS, "message": THREAD}, ["tracked_links_message"]),
    (
        "flow_sessions",
        "list",
        SESSIONS,
        ["Index Scan Backward using flow_sessions_time", r"Index Cond: .*ROW\("],
    ),
    (
        "flow_sessions",
        "list_of_contact",
        SESSIONS,
        [r"flow_sessions_contact", r"Index Cond: .*contact_id = "],
    ),
    (
        "flow_sessions",
        "find_used",
        {"tenant_id": TENANT, "tokens": ["1", "2"], "keys": ["k", None]},
        ["flow_sessions_tenant_id_flow_token_key"],
    ),
    (
        "flows",
        "list",
        {
            "tenant_id": TENANT,
            "after": "7",
            "after_waba": "1",
            "waba_id": None,
            "status": None,
            "limit": 51,
        },
        ["whatsapp_flows_pkey", r"Index Cond: .*ROW\("],
    ),
    (
        "catalog",
        "list",
        {
            "tenant_id": TENANT,
            "after": "9",
            "after_product": "7",
            "catalog_id": None,
            "product": None,
            "is_active": None,
            "source": None,
            "limit": 51,
        },
        ["catalog_products_pkey", r"Index Cond: .*ROW\("],
    ),
    (
        "messages",
        "find_media",
        {"tenant_id": TENANT, "id": THREAD},
        ["media_pkey", r"whatsapp_messages_\d+_\d+_pkey"],
    ),
    (
        "media",
        "find",
        {"tenant": TENANT, "id": THREAD},
        ["media_pkey", r"whatsapp_messages_\d+_\d+_pkey"],
    ),
    (
        "automations",
        "find_rules",
        {"tenant": TENANT, "before_at": "infinity", "before_id": LAST_ID, "limit": 51},
        [r"Index Scan Backward using automation_rules_recent", r"Index Cond: .*ROW\("],
    ),
    (
        "automations",
        "find_runs",
        {
            "tenant": TENANT,
            "rule_id": TENANT,
            "states": ["started", "done", "skipped", "failed"],
            "before_at": "infinity",
            "before_id": LAST_ID,
            "limit": 51,
        },
        [r"Index Scan Backward using automation_runs_rule", r"Index Cond: .*ROW\("],
    ),
    (
        "contact_lists",
        "list_lists",
        {"tenant_id": TENANT, "before": "infinity", "before_id": LAST_ID, "limit": 51},
        [r"Index Scan Backward using contact_lists_recent", r"Index Cond: .*ROW\("],
    ),
    (
        "contact_lists",
        "list_members",
        {"tenant_id": TENANT, "list_id": UUID(int=1), "after": CONTACT, "limit": 51},
        [r"contact_list_members_pkey", r"Index Cond: .*list_id = .*contact_id > ", "contacts_pkey"],
    ),
    (
        "prices",
        "list_rates",
        {
            "tenant": TENANT,
            "category": "utility",
            "country": "MX",
            "currency": "EUR",
            "valid_from": "2026-10-01",
            "from_volume": 7,
            "only_currency": None,
            "only_category": None,
            "limit": 51,
        },
        [r"Index Scan using price_rates_pkey", r"Index Cond: .*ROW\("],
    ),
    (
        "subscriptions",
        "find_subscriptions",
        {"tenant_id": TENANT, "wanted": TENANT},
        [r"(?s)(event_deliveries_listed.*){2}"],
    ),
    (
        "subscriptions",
        "list_deliveries",
        {
            "tenant_id": TENANT,
            "subscription_id": TENANT,
            "states": ["pending", "delivered", "dead"],
            "before": "infinity",
            "before_id": LAST_ID,
            "limit": 51,
        },
        [r"Index Scan Backward using event_deliveries_listed", r"Index Cond: .*state = .*ROW\("],
    ),
]


@pytest.mark.parametrize("generic", [False, True], ids=["values", "generic"])
@pytest.mark.parametrize("case", PLANS, ids=[f"{file}.{name}" for file, name, _, _ in PLANS])
def test_the_statement_walks_its_index(
    link: psycopg.Connection[Any],
    case: tuple[str, str, dict[str, Any], list[str]],
    generic: bool,
) -> None:
    file, name, parameters, wanted = case
    plan = explain(link, queries("switchboard.store", file)[name], parameters, generic=generic)
    for pattern in wanted:
        assert re.search(pattern, plan), plan
    # Other tables of the seed are small or empty: there a scan is right.
    big = (
        "contacts|contact_identifiers|event_deliveries|media|message_changes|whatsapp_account_events"
        "|automation_rules|automation_runs|scheduled_jobs|contact_lists|contact_list_members|price_rates|tracked_links|flow_sessions|whatsapp_flows|catalog_products|whatsapp_conversations|whatsapp_messages_\\d+_\\d+"
    )
    scanned = re.findall(rf"Seq Scan on ({big})\b", plan)
    assert not [name for name in scanned if not is_empty(link, name)], plan


def test_a_walk_of_the_inbox_reads_no_more_than_its_pages(
    link: psycopg.Connection[Any],
) -> None:
    statement = queries("switchboard.store", "conversations")["walk_inbox"]
    lines = [
        line
        for (line,) in link.execute(f"explain (analyze, timing off) {statement}", WALK)
        if "whatsapp_conversations_inbox" in line
    ]
    assert lines
    # Of each state 51 rows at most, though there are hundreds and thousands.
    for line in lines:
        found = re.search(r"actual rows=([\d.]+) loops=5", line)
        assert found, line
        assert float(found[1]) <= 51


def is_empty(link: psycopg.Connection[Any], table: str) -> bool:
    row = link.execute(
        "select coalesce(sum(reltuples), 0) < 100 from pg_class where relname = %s", (table,)
    ).fetchone()
    assert row is not None
    return bool(row[0])
