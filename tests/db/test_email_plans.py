"""Lists of mails walk an index, planned for their values and for any values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from local.postgres import PostgresServer
from switchboard.kernel.db import queries
from tests.databases import cloned
from tests.plans import explain, seeded

TENANT = uuid4()
CONTACT = UUID(int=9)

SEED = """
insert into messaging.tenants (id, slug, name) values (%(tenant)s, 'plans', 'P');
insert into messaging.contacts (tenant_id, id)
select %(tenant)s, lpad(to_hex(n), 32, '0')::uuid from generate_series(1, 3000) as n;
insert into messaging.email_templates (tenant_id, id, name, language, subject, text_body,
    created_at)
select %(tenant)s, gen_random_uuid(), 't_' || n, 'en', 'S', 'T', now() - n * interval '1 minute'
from generate_series(1, 3000) as n;
insert into messaging.emails (tenant_id, id, contact_id, template_name, language, category,
    address, subject, text_body, status, due_at, expires_at, created_at)
select %(tenant)s, lpad(to_hex(n), 32, '0')::uuid, lpad(to_hex(1 + n %% 3000), 32, '0')::uuid,
    't', 'en', 'utility', n || '@b.example', 'S', 'T',
    (array['bounced', 'sent', 'delivered', 'delivered', 'delivered'])[1 + n %% 5], now(), now(),
    now() - n * interval '1 minute'
from generate_series(1, 15000) as n;
insert into messaging.email_events (tenant_id, email_id, sha256, kind, rank, occurred_at, detail,
    created_at)
select tenant_id, id, sha256(id::text::bytea), 'sent', 1, now(), '{}', now() from messaging.emails;
insert into messaging.email_suppressions (tenant_id, address, reason, email_id, contact_id,
    occurred_at, created_at)
select tenant_id, address, 'bounce', id, contact_id, now(), created_at from messaging.emails;
"""


@pytest.fixture(scope="module")
def link(template: str, postgres: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    with cloned(postgres, template) as database, seeded(database, TENANT, SEED, {}) as link:
        yield link


LIST: dict[str, Any] = {
    "tenant": TENANT,
    "contact": CONTACT,
    "status": "bounced",
    "before": "infinity",
    "before_id": UUID(int=0),
    "limit": 51,
}
PLANS = [
    ("emails", "list", LIST, "emails_recent"),
    ("emails", "list_of_status", LIST, "emails_status"),
    ("emails", "list_of_contact", LIST, "emails_contact"),
    ("emails", "show", {"tenant": TENANT, "id": CONTACT}, "email_events_pkey"),
    ("emails", "list_suppressions", LIST, "email_suppressions_recent"),
    (
        "emails",
        "ask",
        {"tenant": TENANT, "contact": CONTACT, "address": "7@b.example", "now": None},
        "email_suppressions_tenant_id_address_reason_key",
    ),
    ("email_templates", "list", LIST, "email_templates_recent"),
    (
        "email_templates",
        "find_named",
        {"tenant": TENANT, "name": "t_7", "language": "en"},
        "email_templates_tenant_id_name_language_key",
    ),
]


@pytest.mark.parametrize("generic", [False, True], ids=["values", "generic"])
@pytest.mark.parametrize("case", PLANS, ids=[f"{file}.{name}" for file, name, _, _ in PLANS])
def test_the_statement_walks_its_index(
    link: psycopg.Connection[Any], case: tuple[str, str, dict[str, Any], str], generic: bool
) -> None:
    file, name, parameters, index = case
    plan = explain(link, queries("switchboard.store", file)[name], parameters, generic=generic)
    assert index in plan, plan
    big = "contacts|emails|email_events|email_suppressions|email_templates"
    assert not re.findall(rf"Seq Scan on ({big})\b", plan), plan
    assert "Sort" not in plan.splitlines()[0], plan
