"""What is asked of recipients walks an index, planned for its values and for any values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from local.postgres import PostgresServer
from switchboard.kernel.db import queries
from switchboard.store.recipients import STATUSES
from tests.databases import cloned
from tests.plans import explain, seeded

TENANT, OTHER = uuid4(), uuid4()
CAMPAIGN, ACCOUNT = UUID(int=7), UUID(int=3)

SEED = """
insert into messaging.tenants (id, slug, name) values (%(tenant)s, 'mine', 'P'),
    (%(other)s, 'others', 'P');
insert into messaging.contacts (tenant_id, id, phone_number)
select t.id, lpad(to_hex(n), 32, '0')::uuid, '+49155' || n from generate_series(1, 8000) as n,
    (values (%(tenant)s::uuid), (%(other)s::uuid)) as t(id);
insert into messaging.campaign_recipients (tenant_id, campaign_id, contact_id, position, status,
    message_id, updated_at)
select t.id, lpad(to_hex(c), 32, '0')::uuid, lpad(to_hex(n), 32, '0')::uuid, n,
    (array['pending', 'sent', 'read', 'queued', 'failed', 'skipped', 'delivered', 'pending'])
        [1 + n %% 8], gen_random_uuid(), now()
from generate_series(1, 8000) as n, generate_series(6, 9) as c,
    (values (%(tenant)s::uuid), (%(other)s::uuid)) as t(id);
insert into messaging.whatsapp_business_accounts (tenant_id, waba_id) values (%(tenant)s, 'w');
insert into messaging.whatsapp_accounts (tenant_id, id, waba_id, phone_number_id, phone_number,
    display_name) values (%(tenant)s, %(account)s, 'w', '1', '+15550001111', 'N');
insert into messaging.whatsapp_templates (tenant_id, id, waba_id, name, language)
values (%(tenant)s, %(account)s, 'w', 'offer', 'en');
insert into messaging.whatsapp_campaigns (tenant_id, id, account_id, template_id, name,
    audience_type, audience_config, created_at)
select %(tenant)s, lpad(to_hex(n), 32, '0')::uuid, %(account)s, %(account)s, 'C', 'all_contacts',
    '{}', now() - n * interval '1 hour' from generate_series(1, 3000) as n;
"""


@pytest.fixture(scope="module")
def link(template: str, postgres: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    with (
        cloned(postgres, template) as database,
        seeded(database, TENANT, SEED, {"other": OTHER, "account": ACCOUNT}) as link,
    ):
        yield link


THIS: dict[str, Any] = {
    "tenant_id": TENANT,
    "campaign_id": CAMPAIGN,
    "id": CAMPAIGN,
    "account_id": ACCOUNT,
    "now": "2031-03-03T12:00:00Z",
    "limit": 51,
    "due": 800,
    "open": 5000,
    "after": 100,
    "until": 600,
    "statuses": list(STATUSES),
    "contact_ids": [UUID(int=n) for n in range(1, 400)],
    "before": "infinity",
    "before_id": UUID(int=0),
    "status": None,
    "reasons": ["x"] * 399,
    "message_ids": [CAMPAIGN] * 399,
    "prices": [1] * 399,
}
MARK = {**THIS, "statuses": ["sent"] * 399}
BY_STATUS = r"campaign_recipients_status"
PLANS = [
    ("recipients", "take", [BY_STATUS, r"status = 'pending'", "Limit"]),
    ("recipients", "waiting", [BY_STATUS, r"status = 'queued'"]),
    ("recipients", "list", [BY_STATUS, r"\"?position\"? > ", "contacts_pkey"]),
    ("recipients", "is_open", [BY_STATUS]),
    ("recipients", "messages", [BY_STATUS, r"\"?position\"? > .*position\"? <= "]),
    ("recipients", "cancel_pending", [BY_STATUS, "campaign_recipients_pkey"]),
    ("recipients", "take_back", ["campaign_recipients_pkey"]),
    ("recipients", "mark", ["campaign_recipients_pkey"]),
    ("campaigns", "list", ["whatsapp_campaigns_recent", r"Index Cond: .*ROW\("]),
    ("campaigns", "find", ["whatsapp_campaigns_pkey"]),
    ("campaigns", "lock", ["whatsapp_campaigns_pkey"]),
]


@pytest.mark.parametrize("generic", [False, True], ids=["values", "generic"])
@pytest.mark.parametrize("case", PLANS, ids=[name for _, name, _ in PLANS])
def test_the_statement_walks_its_index(
    link: psycopg.Connection[Any], case: tuple[str, str, list[str]], generic: bool
) -> None:
    module, name, wanted = case
    statement = queries("switchboard.store", module)[name]
    given = MARK if name == "mark" else THIS
    plan = explain(link, statement, given, generic=generic)
    assert all(re.search(part, plan) for part in wanted), plan
    assert not re.search(r"Seq Scan on (campaign_recipients|contacts|whatsapp_campaigns)", plan), (
        plan
    )


def test_a_recipient_is_found_by_its_message(link: psycopg.Connection[Any]) -> None:
    """As the trigger asks that follows a message."""
    statement = (
        "update messaging.campaign_recipients as r set status = 'sent'"
        " where r.tenant_id = %(tenant_id)s and r.message_id = %(id)s"
    )
    for generic in (False, True):
        assert "campaign_recipients_message" in explain(link, statement, THIS, generic=generic)
