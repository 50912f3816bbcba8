"""What is written and listed of facts walks an index, planned for its values and for any values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import orjson
import psycopg
import pytest

from local.postgres import PostgresServer
from switchboard.kernel.db import queries
from tests.databases import cloned
from tests.plans import explain, seeded

TENANT, OTHER = uuid4(), uuid4()
CONTACT = UUID(int=9)

SEED = """
insert into messaging.tenants (id, slug, name) values (%(tenant)s, 'facts', 'P'),
    (%(other)s, 'others', 'P');
insert into messaging.contacts (tenant_id, id)
select t.id, lpad(to_hex(n), 32, '0')::uuid from generate_series(1, 3000) as n,
    (values (%(tenant)s::uuid), (%(other)s::uuid)) as t(id);
insert into messaging.contact_identifiers (tenant_id, kind, value, contact_id)
select %(tenant)s, 'phone', n::text, lpad(to_hex(n), 32, '0')::uuid
from generate_series(1, 3000) as n;
insert into messaging.trips (tenant_id, id, external_id, contact_id, status, as_of, created_at)
select t.id, lpad(to_hex(n), 32, '0')::uuid, 'T-' || n, lpad(to_hex(1 + n %% 3000), 32, '0')::uuid,
    (array['planned', 'active', 'completed', 'completed', 'completed'])[1 + n %% 5], now(),
    now() - n * interval '1 minute'
from generate_series(1, 15000) as n, (values (%(tenant)s::uuid), (%(other)s::uuid)) as t(id);
insert into messaging.bookings (tenant_id, id, external_id, contact_id, trip_id, status, as_of,
    created_at)
select t.id, lpad(to_hex(n), 32, '0')::uuid, 'B-' || n, lpad(to_hex(1 + n %% 3000), 32, '0')::uuid,
    lpad(to_hex(n), 32, '0')::uuid,
    (array['cancelled', 'confirmed', 'completed', 'completed', 'completed'])[1 + n %% 5], now(),
    now() - n * interval '1 minute'
from generate_series(1, 15000) as n, (values (%(tenant)s::uuid), (%(other)s::uuid)) as t(id);
"""


@pytest.fixture(scope="module")
def link(template: str, postgres: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    with (
        cloned(postgres, template) as database,
        seeded(database, TENANT, SEED, {"other": OTHER}) as link,
    ):
        yield link


LIST: dict[str, Any] = {
    "tenant_id": TENANT,
    "before": "infinity",
    "before_id": UUID(int=0),
    "limit": 51,
    "status": "active",
    "contact_id": CONTACT,
}
BOOKED = {**LIST, "status": "confirmed"}
_FACT = {"contact_id": str(CONTACT), "timezone": "UTC", "status": "active", "attributes": {}}
FACTS = orjson.dumps(
    [
        {**_FACT, "place": n, "external_id": f"T-{n}", "trip": f"T-{n}", "spent_minor": 0}
        for n in range(1000)
    ]
).decode()
PUT: dict[str, Any] = {"tenant_id": TENANT, "facts": FACTS, "now": None}
IDS = {"tenant_id": TENANT, "external_ids": [f"T-{n}" for n in range(50)]}
ONE = {"tenant_id": TENANT, "external_id": "T-1"}
PLANS = [
    ("put_trips", PUT, ["trips_tenant_id_external_id_key", "Update on trips"]),
    (
        "put_bookings",
        PUT,
        ["bookings_tenant_id_external_id_key", "trips_tenant_id_external_id_key"],
    ),
    ("load_trips", IDS, ["trips_tenant_id_external_id_key"]),
    ("load_bookings", IDS, ["bookings_tenant_id_external_id_key", "trips_pkey"]),
    ("list_trips", LIST, ["Index Scan Backward using trips_recent", r"Index Cond: .*ROW\("]),
    (
        "list_trips_by_status",
        LIST,
        ["Index Scan Backward using trips_status", r"Index Cond: .*status = .*ROW\("],
    ),
    ("list_trips_of_contact", LIST, ["trips_contact", r"Index Cond: .*contact_id = .*ROW\("]),
    ("list_bookings", LIST, ["Index Scan Backward using bookings_recent", r"Index Cond: .*ROW\("]),
    (
        "list_bookings_by_status",
        BOOKED,
        ["Index Scan Backward using bookings_status", r"Index Cond: .*status = .*ROW\("],
    ),
    (
        "list_bookings_of_contact",
        BOOKED,
        ["bookings_contact", r"Index Cond: .*contact_id = .*ROW\("],
    ),
    ("delete_trip", ONE, ["trips_tenant_id_external_id_key"]),
    ("delete_booking", ONE, ["bookings_tenant_id_external_id_key"]),
]


@pytest.mark.parametrize("generic", [False, True], ids=["values", "generic"])
@pytest.mark.parametrize("case", PLANS, ids=[name for name, _, _ in PLANS])
def test_the_statement_walks_its_index(
    link: psycopg.Connection[Any], case: tuple[str, dict[str, Any], list[str]], generic: bool
) -> None:
    name, parameters, wanted = case
    plan = explain(link, queries("switchboard.store", "facts")[name], parameters, generic=generic)
    for pattern in wanted:
        assert re.search(pattern, plan), plan
    assert not re.search(r"Seq Scan on (trips|bookings)\b", plan), plan


@pytest.mark.parametrize("generic", [False, True], ids=["values", "generic"])
def test_phones_are_found_by_their_key(link: psycopg.Connection[Any], generic: bool) -> None:
    parameters = {"tenant_id": TENANT, "phones": [str(n) for n in range(100)]}
    statement = queries("switchboard.store", "identity")["find_phones"]
    plan = explain(link, statement, parameters, generic=generic)
    assert "contact_identifiers_pkey" in plan
    assert "Seq Scan" not in plan


def test_no_item_of_a_thousand_is_looked_for_one_by_one(link: psycopg.Connection[Any]) -> None:
    """Each item's row is found in one look by key, and nothing is scanned or joined crosswise."""
    statement = queries("switchboard.store", "facts")["put_trips"]
    lines = [line for (line,) in link.execute(f"explain (analyze, timing off) {statement}", PUT)]
    for line in lines:
        found = re.search(r"actual rows=([\d.]+) loops=(\d+)", line)
        if found is None or "never executed" in line:
            continue
        assert float(found[1]) * int(found[2]) <= 4_000, "\n".join(lines)
