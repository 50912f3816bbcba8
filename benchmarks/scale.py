"""`make bench-scale`: intake and status updates on ten million messages against an empty database.

Two databases on one server of their own: one as good as empty, one filled by set-based SQL with
messages, keys and status events, contacts and conversations in proportion. The same bodies go
through the whole handler to both, round by round in turns, so that a slow minute of the machine
falls on both. People are picked from all over the tables, statuses are of the newest messages. The
last lines are the figures, one a line.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from benchmarks.__main__ import ROOT, describe
from benchmarks.figures import Figure, ratio
from benchmarks.webhooks import ACCOUNT, NUMBER, SECOND, TENANT, WABA, Material, Shape, Worker
from local.guardian import Guardian
from local.postgres import PostgresServer
from switchboard.intake.store import store
from switchboard.kernel.log import log
from switchboard.kernel.settings import Settings
from switchboard.tools import Tools
from tests.databases import ClonedDatabase, cloned, make_template

#: Messages of the database that counts as empty: what the measurement itself needs.
EMPTY = 60_000
#: Messages of one contact; contacts that write and messages whose statuses come, of each database.
PER_CONTACT, PEOPLE, SENT = 20, 3_000, 24_000
#: The newest messages: what a busy number sends and gets in a few hours.
RECENT = 100_000
#: Messages of one statement: big enough to be quick, small enough for its memory.
BATCH = 250_000
#: Bytes that a message needs on disk with all that belongs to it, twice for building indexes.
BYTES_EACH = 2_500
FLOOR = 0.8
#: Rounds that warm plans and caches, and are not counted.
_WARMING = 3

#: One connection each: it is the tables' size that is measured here, not what writers cost another.
SHAPES = [
    Shape("g", "scale-message", 1, 1, 0, 0, 250, 9, FLOOR),
    Shape("g", "scale-status", 1, 0, 0, 1, 250, 9, FLOOR),
    Shape("g", "scale-new-person", 1, 0, 1, 0, 150, 9, FLOOR),
    Shape("g", "scale-body-100", 1, 50, 0, 50, 12, 9, FLOOR),
    Shape("g", "scale-body-1000", 1, 500, 0, 500, 2, 9, FLOOR),
]

SEED = """
insert into messaging.tenants (id, slug, name) values (%(tenant)s, 'bench', 'Bench');
insert into messaging.whatsapp_business_accounts (tenant_id, waba_id) values (%(tenant)s, %(waba)s);
insert into messaging.whatsapp_accounts
    (tenant_id, id, waba_id, phone_number_id, phone_number, display_name, status)
values (%(tenant)s, %(account)s, %(waba)s, %(number)s, '+15550001111', 'Bench', 'connected');
insert into messaging.contacts (tenant_id, id, phone_number, profile_name, profile_name_at)
select %(tenant)s, md5('c' || n)::uuid, '+' || 4910000000 + n, 'Person ' || n, to_timestamp(1)
from generate_series(0, %(contacts)s - 1) as n;
insert into messaging.contact_identifiers (tenant_id, kind, value, contact_id)
select tenant_id, 'phone', substr(phone_number, 2), id from messaging.contacts;
insert into messaging.whatsapp_conversations
    (tenant_id, id, account_id, contact_id, last_message_at, last_message_key, message_count)
select %(tenant)s, md5('v' || n)::uuid, %(account)s, md5('c' || n)::uuid, to_timestamp(1),
    'wamid.0', %(per_contact)s
from generate_series(0, %(contacts)s - 1) as n;
"""

#: Messages low to high - 1: half inbound, half outbound, each with its key; a status event of each.
#: Ids carry a time of this month, so that all lie in the partition that intake writes to;
#: neighbours in time belong to people far apart. The events lie where the measured ones will.
FILL = """
with b as materialized (
    select (left(messaging.uuid_at(t.at)::text, 13) || '-7' || substr(d.hex, 1, 3) || '-8'
            || substr(d.hex, 4, 3) || '-' || substr(d.hex, 7, 12))::uuid as id,
        p.contact, 'wamid.HBgLNDkxNTUIN' || upper(d.hex) as wamid, n %% 2 = 0 as inbound, t.at, n
    from generate_series(%(low)s::bigint, %(high)s::bigint - 1) as n
    cross join lateral (select md5('m' || n) as hex) as d
    cross join lateral (select (n * 2654435761) %% %(contacts)s as contact) as p
    cross join lateral (select date_trunc('month', now(), 'UTC')
        + (now() - date_trunc('month', now(), 'UTC')) * (n::float8 / %(messages)s) as at) as t
), k as (
    insert into messaging.message_keys (tenant_id, account_id, wa_message_id, message_id)
    select %(tenant)s, %(account)s, b.wamid, b.id from b
), e as (
    insert into messaging.message_status_events
        (tenant_id, account_id, wa_message_id, status, occurred_at, detail)
    select %(tenant)s, %(account)s, b.wamid, 'accepted', to_timestamp(%(second)s - b.n %% 86400),
        jsonb_build_object('id', b.wamid, 'status', 'accepted', 'recipient_id', '4910000000',
            'timestamp', (%(second)s - b.n %% 86400)::text)
    from b
)
insert into messaging.whatsapp_messages (tenant_id, id, account_id, conversation_id, contact_id,
    wa_message_id, direction, origin, message_type, content, status, status_rank, occurred_at,
    created_at, updated_at)
select %(tenant)s, b.id, %(account)s, md5('v' || b.contact)::uuid, md5('c' || b.contact)::uuid,
    b.wamid, case when b.inbound then 'inbound' else 'outbound' end,
    case when b.inbound then 'person' else 'api' end, 'text',
    jsonb_build_object('body', 'this is message number ' || b.n), case when b.inbound
    then 'received' else 'accepted' end, case when b.inbound then 10 else 50 end, b.at, b.at, b.at
from b
"""

#: People from all over the table; of the sent messages those of the last hours, for whom statuses
#: come, as many from each database.
_KNOWN: LiteralString = """
select c.id, v.id, substr(c.phone_number, 2)
from (select count(*) as all from messaging.contacts) as s
cross join generate_series(0, {people} - 1) as i
join messaging.contacts as c
    on c.tenant_id = '{tenant}' and c.id = md5('c' || (i * s.all / {people}))::uuid
join messaging.whatsapp_conversations as v
    on v.tenant_id = c.tenant_id and v.account_id = '{account}' and v.contact_id = c.id
order by md5(i::text)
"""
_SENT: LiteralString = """
select k.message_id, k.wa_message_id
from generate_series(0, {sent} - 1) as i
join messaging.message_keys as k on k.account_id = '{account}' and k.wa_message_id
    = 'wamid.HBgLNDkxNTUIN' || upper(md5('m' || ({messages} - 1 - i * ({recent} / {sent}) / 2 * 2)))
order by md5(i::text)
"""

#: What would be updated row by row while filling, and is built at once afterwards.
_CONSTRAINTS = """
select c.conrelid::regclass::text, c.conname, pg_get_constraintdef(c.oid)
from pg_constraint as c
where c.contype in ('p', 'u') and c.conparentid = 0
    and c.conrelid in ('messaging.message_keys'::regclass,
        'messaging.message_status_events'::regclass)
order by 1, 2
"""
_INDEXES = """
select i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
from pg_index as i
where i.indrelid = 'messaging.whatsapp_messages'::regclass and not i.indisprimary
    and not exists (select from pg_constraint as c where c.conindid = i.indexrelid)
order by 1
"""
_WARM = """
select sum(pg_prewarm(i.indexrelid))
from pg_index as i join pg_class as c on c.oid = i.indexrelid and c.relkind = 'i'
where c.relnamespace = 'messaging'::regnamespace
"""
_SIZES = """
select r.name, sum(pg_table_size(p.oid))::bigint, sum(pg_indexes_size(p.oid))::bigint
from (values ('whatsapp_messages'), ('message_keys'), ('message_status_events'), ('contacts'),
    ('contact_identifiers'), ('whatsapp_conversations')) as r(name)
join pg_class as p on p.oid = ('messaging.' || r.name)::regclass
    or p.oid in (select inhrelid from pg_inherits
        where inhparent = ('messaging.' || r.name)::regclass)
group by r.name order by 2 desc
"""


def main(arguments: list[str] | None = None) -> int:
    """Fill, measure, print; return 1 when a figure misses its floor, 2 without room on the disk."""
    parser = argparse.ArgumentParser(prog="make bench-scale", description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000_000, help="rows of the large table")
    parser.add_argument("--explain", action="store_true", help="print the plans of the large one")
    options = parser.parse_args(arguments)
    os.environ["PYTHONPATH"] = f"{ROOT}:{ROOT / 'layers/common'}"
    describe("bench-scale")
    folder = Path(tempfile.mkdtemp(prefix="switchboard-scale-"))
    folder.chmod(0o711)
    needed = options.messages * BYTES_EACH
    if shutil.disk_usage(folder).free < needed:
        print(f"needs {needed / 1e9:.0f} GB of disk in {folder.parent}", file=sys.stderr)
        folder.rmdir()
        return 2
    with Guardian() as guardian:
        server = PostgresServer(
            folder / "postgres", log=folder / "postgres.log", durable=True, guardian=guardian
        )
        try:
            server.start()
            _tune(server)
            template = make_template(server)
            with cloned(server, template) as small, cloned(server, template) as large:
                fill(small, EMPTY)
                fill(large, options.messages)
                figures = measure(small, large, min(EMPTY, options.messages), options.messages)
                if options.explain:
                    explain(large, options.messages)
        finally:
            server.stop()
            shutil.rmtree(folder)
    for figure in figures:
        if not figure.met:
            print(f"missed: {figure.name} {figure.value:.2f}, asked {figure.floor:.2f}")
    for figure in figures:
        print(figure)
    return 0 if all(figure.met for figure in figures) else 1


def _tune(server: PostgresServer) -> None:
    """Give the server what one of this size has: memory, and checkpoints that are not constant."""
    with psycopg.connect(server.url(database="postgres"), autocommit=True) as connection:
        for setting in ("shared_buffers = '4GB'", "max_wal_size = '8GB'"):
            connection.execute(f"alter system set {setting}")
    server.stop()
    server.start()


def fill(database: ClonedDatabase, messages: int) -> None:
    """Put `messages` messages into `database`, with everything that belongs to them."""
    start = time.monotonic()
    values: dict[str, Any] = {
        "tenant": TENANT,
        "account": ACCOUNT,
        "waba": WABA,
        "number": NUMBER,
        "messages": messages,
        "contacts": max(messages // PER_CONTACT, PEOPLE),
        "per_contact": PER_CONTACT,
        "second": SECOND,
    }
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        for setting in (
            "synchronous_commit = off",
            "session_replication_role = replica",  # what is made here needs no check of its keys
            "maintenance_work_mem = '1GB'",
            "work_mem = '256MB'",
        ):
            connection.execute(f"set {setting}")
        for statement in SEED.split(";\n"):
            if statement.strip():
                connection.execute(statement, values)
        with _without_indexes(connection):
            for low in range(0, messages, BATCH):
                high = min(low + BATCH, messages)
                connection.execute(FILL, {**values, "low": low, "high": high})
                _progress(f"{high:,} of {messages:,} messages", start)
        _progress("indexes", start)
        connection.execute("vacuum analyze")
        # A server that has run for a while has its indexes in memory.
        connection.execute("create extension if not exists pg_prewarm")
        connection.execute(_WARM)
        connection.execute("checkpoint")
        _progress(f"filled with {messages:,} messages", start)
        for name, table, indexes in connection.execute(_SIZES):
            print(f"    {name}: {table / 1e6:,.0f} MB, indexes {indexes / 1e6:,.0f} MB")


@contextmanager
def _without_indexes(connection: psycopg.Connection[Any]) -> Iterator[None]:
    constraints = connection.execute(_CONSTRAINTS).fetchall()
    indexes = connection.execute(_INDEXES).fetchall()
    for table, name, _ in constraints:
        connection.execute(f"alter table {table} drop constraint {name}")
    for name, _ in indexes:
        connection.execute(f"drop index {name}")
    yield
    for _, definition in indexes:
        connection.execute(definition)
    for table, name, definition in constraints:
        connection.execute(f"alter table {table} add constraint {name} {definition}")


def _progress(what: str, start: float) -> None:
    print(f"  {time.monotonic() - start:7.1f} s  {what}", flush=True)


def measure(small: ClonedDatabase, large: ClonedDatabase, few: int, many: int) -> list[Figure]:
    """Return the ratio of each shape: rate on the large database through rate on the small one."""
    databases = {"small": (small, few), "large": (large, many)}
    workers = {name: Worker(database, 0, _queries(n)) for name, (database, n) in databases.items()}
    links = {
        name: psycopg.connect(database.superuser_url, autocommit=True)
        for name, (database, _) in databases.items()
    }
    try:
        return [_measure(workers, links, shape) for shape in SHAPES]
    finally:
        for name, worker in workers.items():
            worker.stop()
            links[name].close()


def _queries(messages: int) -> tuple[LiteralString, ...]:
    values = {
        "tenant": TENANT,
        "account": ACCOUNT,
        "people": PEOPLE,
        "sent": min(SENT, messages // 2),
        "recent": min(RECENT, messages),
        "messages": messages // 2 * 2,
    }
    return (_KNOWN.format(**values), _SENT.format(**values))


def _measure(
    workers: dict[str, Worker], links: dict[str, psycopg.Connection[Any]], shape: Shape
) -> Figure:
    rates: dict[str, list[float]] = {name: [] for name in workers}
    for round_ in range(-_WARMING, shape.rounds):
        for name in sorted(workers, reverse=round_ % 2 == 1):
            # A worker would have done the last round's reactions by now.
            links[name].execute("truncate messaging.scheduled_jobs")
            workers[name].ask(("prepare", "ours", shape))
            workers[name].answer()
            start = time.perf_counter()
            workers[name].ask(("go",))
            workers[name].answer()
            took = time.perf_counter() - start
            if round_ >= 0:
                rates[name].append(shape.bodies / took)
    figure = Figure(shape.letter, shape.name, ratio(rates["large"], rates["small"]), shape.floor)
    updates = shape.known + shape.new + shape.statuses
    middle = {name: sorted(found)[shape.rounds // 2] * updates for name, found in rates.items()}
    print(
        f"  {shape.name}: large {middle['large']:,.0f} updates/s,"
        f" small {middle['small']:,.0f}/s -> {figure.value:.2f}",
        flush=True,
    )
    return figure


def explain(database: ClonedDatabase, messages: int) -> None:
    """Print the plans of every statement of intake on `database`, as its own role runs them."""
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        for setting in (
            "session_preload_libraries = 'auto_explain'",
            "auto_explain.log_min_duration = 0",
            "auto_explain.log_nested_statements = on",
            "auto_explain.log_analyze = on",
            "auto_explain.log_timing = off",
            "auto_explain.log_parameter_max_length = 0",
            "auto_explain.log_level = notice",
        ):
            connection.execute(f"alter role app in database {database.name} set {setting}")
    tools = Tools(Settings(database_url=database.app_url))
    link = tools.db.connection()
    log.set_level("WARNING")
    # From the other end: nothing that was measured comes again.
    known, sent = (f"{query} desc" for query in _queries(messages))
    with psycopg.connect(database.superuser_url) as connection:
        material = Material(connection, 1, (known, sent))
    plans: list[str] = []
    link.add_notice_handler(lambda notice: plans.append(notice.message_primary or ""))
    for shape in SHAPES[:-1]:
        for _ in range(7):  # the plan of the seventh is the one that is kept
            plans.clear()
            store(tools, material.event(shape)["body"].encode(), None)
        print(f"plans of {shape.name}:")
        for plan in plans:
            print(_short(plan))
    tools.db.drop()


def _short(plan: str) -> str:
    """Return a plan without its costs: the statement's beginning, and its nodes with their rows."""
    head = " ".join(plan.partition("Query Text: ")[2].split())[:110]
    lines = [
        re.sub(r" *\(cost=\S+ rows=\d+ width=\d+\)| width=\d+", "", line)
        for line in plan.splitlines()
        if re.search(r"\(cost=|Index Cond|Filter: |Heap Fetches", line)
    ]
    return "\n".join([f"  {head}", *(f"      {line}" for line in lines)])


if __name__ == "__main__":
    sys.exit(main())
