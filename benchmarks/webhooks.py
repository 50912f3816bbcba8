"""Figures a and b: webhooks through the whole handler against one bare statement.

The limit of a single message is ONE prepared statement as superuser, its ids known, that writes the
same rows in all tables; the limit of a body is one set statement over the same tables. Each
connection is a process of its own with its own contacts: unordered bare statements deadlock.
Rounds alternate, so that a slow minute of the machine falls on both.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import multiprocessing
import os
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from typing import Any, LiteralString
from uuid import UUID

import psycopg

from benchmarks.figures import Figure, ratio
from tests.databases import ClonedDatabase

TENANT = UUID("0a000000-0000-7000-8000-000000000001")
ACCOUNT = UUID("0a000000-0000-7000-8000-000000000002")
WABA, NUMBER = "900000000000001", "910000000000001"
SECRET = "benchmark-app-secret"
#: Known contacts with a conversation, and accepted outbound messages, per connection.
CONTACTS, SENT = 9_000, 24_000
CONNECTIONS = 4
SECOND = 1_790_000_000

SEED = """
insert into messaging.tenants (id, slug, name) values (%(tenant)s, 'bench', 'Bench');
insert into messaging.whatsapp_business_accounts (tenant_id, waba_id) values (%(tenant)s, %(waba)s);
insert into messaging.whatsapp_accounts
    (tenant_id, id, waba_id, phone_number_id, phone_number, display_name, status)
values (%(tenant)s, %(account)s, %(waba)s, %(number)s, '+15550001111', 'Bench', 'connected');
insert into messaging.contacts (tenant_id, id, phone_number, profile_name, profile_name_at)
select %(tenant)s, gen_random_uuid(), '+' || 4910000000 + n, 'Person', to_timestamp(1)
from generate_series(0, %(contacts)s - 1) as n;
insert into messaging.contact_identifiers (tenant_id, kind, value, contact_id)
select tenant_id, 'phone', substr(phone_number, 2), id from messaging.contacts;
insert into messaging.whatsapp_conversations
    (tenant_id, id, account_id, contact_id, last_message_at, last_message_key)
select tenant_id, gen_random_uuid(), %(account)s, id, to_timestamp(1), 'wamid.0'
from messaging.contacts;
insert into messaging.whatsapp_messages (tenant_id, id, account_id, conversation_id, contact_id,
    wa_message_id, direction, origin, message_type, content, status, status_rank, occurred_at)
select c.tenant_id,
    overlay(gen_random_uuid()::text
        placing left(messaging.uuid_at(clock_timestamp())::text, 13) from 1)::uuid,
    c.account_id, c.id, c.contact_id, 'wamid.HBgLOUT' || n, 'outbound', 'api', 'text',
    '{"body": "hello"}', 'accepted', 50, clock_timestamp()
from generate_series(0, %(sent)s - 1) as n
join (select *, row_number() over () - 1 as row from messaging.whatsapp_conversations) as c
    on c.row = n %% %(contacts)s;
insert into messaging.message_keys (tenant_id, account_id, wa_message_id, message_id)
select tenant_id, account_id, wa_message_id, id from messaging.whatsapp_messages;
"""

#: A slot's contacts (id, conversation, phone) and messages that were accepted (id, Meta's id).
KNOWN: LiteralString = """
select c.id, v.id, substr(c.phone_number, 2) from messaging.contacts as c
join messaging.whatsapp_conversations as v on v.contact_id = c.id
where right(c.phone_number, 9)::bigint %% %(connections)s = %(slot)s order by c.phone_number
"""
ACCEPTED: LiteralString = """
select id, wa_message_id from messaging.whatsapp_messages
where direction = 'outbound' and substr(wa_message_id, 14)::bigint %% %(connections)s = %(slot)s
"""

BARE_MESSAGE = """
with k as (
    insert into messaging.message_keys (tenant_id, account_id, wa_message_id, message_id)
    values (%(tenant)s, %(account)s, %(wamid)s, %(id)s)
), c as (
    update messaging.contacts set profile_name = %(name)s, profile_name_at = %(at)s,
        updated_at = clock_timestamp()
    where tenant_id = %(tenant)s and id = %(contact)s
), v as (
    update messaging.whatsapp_conversations set unread_count = unread_count + 1,
        message_count = message_count + 1, window_expires_at = %(at)s + interval '24 hours',
        last_inbound_at = %(at)s, last_message_at = %(at)s, last_message_key = %(wamid)s,
        last_message_preview = %(preview)s, last_message_direction = 'inbound',
        updated_at = clock_timestamp()
    where tenant_id = %(tenant)s and id = %(conversation)s
), m as (
    insert into messaging.whatsapp_messages (tenant_id, id, account_id, conversation_id, contact_id,
        wa_message_id, direction, origin, message_type, content, status, status_rank, occurred_at)
    values (%(tenant)s, %(id)s, %(account)s, %(conversation)s, %(contact)s, %(wamid)s, 'inbound',
        'person', 'text', %(content)s, 'received', 10, %(at)s)
)
insert into messaging.scheduled_jobs
    (tenant_id, job_type, args, lane, unique_key, priority, scheduled_for)
values (%(tenant)s, 'react_to_message', %(args)s, %(conversation)s::uuid::text,
    %(conversation)s::uuid::text, 10, clock_timestamp())
"""

BARE_BODY = """
with k as (
    insert into messaging.message_keys (tenant_id, account_id, wa_message_id, message_id)
    select %(tenant)s, %(account)s, m.w, m.id
    from jsonb_to_recordset(%(doc)s::jsonb -> 'm') as m(id uuid, w text)
), n as (
    insert into messaging.contacts (tenant_id, id, phone_number, profile_name, profile_name_at)
    select %(tenant)s, p.c, '+' || p.phone, p.name, to_timestamp(p.t)
    from jsonb_to_recordset(%(doc)s::jsonb -> 'new')
        as p(c uuid, phone text, name text, t bigint)
), i as (
    insert into messaging.contact_identifiers (tenant_id, kind, value, contact_id)
    select %(tenant)s, 'phone', p.phone, p.c
    from jsonb_to_recordset(%(doc)s::jsonb -> 'new') as p(c uuid, phone text)
), c as (
    update messaging.contacts as c set profile_name = m.name, profile_name_at = to_timestamp(m.t),
        updated_at = clock_timestamp()
    from jsonb_to_recordset(%(doc)s::jsonb -> 'm') as m(c uuid, name text, t bigint, known boolean)
    where c.tenant_id = %(tenant)s and c.id = m.c and m.known
), w as (
    insert into messaging.whatsapp_conversations (tenant_id, id, account_id, contact_id,
        unread_count, message_count, window_expires_at, last_inbound_at, last_message_at,
        last_message_key, last_message_preview, last_message_direction)
    select %(tenant)s, m.v, %(account)s, m.c, 1, 1, to_timestamp(m.t) + interval '24 hours',
        to_timestamp(m.t), to_timestamp(m.t), m.w, m.preview, 'inbound'
    from jsonb_to_recordset(%(doc)s::jsonb -> 'm')
        as m(c uuid, v uuid, w text, t bigint, preview text, known boolean)
    where not m.known
), v as (
    update messaging.whatsapp_conversations as v set unread_count = unread_count + 1,
        message_count = message_count + 1,
        window_expires_at = to_timestamp(m.t) + interval '24 hours',
        last_inbound_at = to_timestamp(m.t), last_message_at = to_timestamp(m.t),
        last_message_key = m.w, last_message_preview = m.preview,
        last_message_direction = 'inbound', updated_at = clock_timestamp()
    from jsonb_to_recordset(%(doc)s::jsonb -> 'm')
        as m(v uuid, w text, t bigint, preview text, known boolean)
    where v.tenant_id = %(tenant)s and v.id = m.v and m.known
), m as (
    insert into messaging.whatsapp_messages (tenant_id, id, account_id, conversation_id, contact_id,
        wa_message_id, direction, origin, message_type, content, status, status_rank, occurred_at)
    select %(tenant)s, m.id, %(account)s, m.v, m.c, m.w, 'inbound', 'person', 'text', m.content,
        'received', 10, to_timestamp(m.t)
    from jsonb_to_recordset(%(doc)s::jsonb -> 'm')
        as m(id uuid, c uuid, v uuid, w text, t bigint, content jsonb)
), e as (
    insert into messaging.message_status_events
        (tenant_id, account_id, wa_message_id, status, occurred_at, detail)
    select %(tenant)s, %(account)s, s.w, 'sent', to_timestamp(s.t), s.d
    from jsonb_to_recordset(%(doc)s::jsonb -> 's') as s(w text, t bigint, d jsonb)
), u as (
    update messaging.whatsapp_messages as m set status = 'sent', status_rank = 60,
        sent_at = to_timestamp(s.t), updated_at = clock_timestamp()
    from jsonb_to_recordset(%(doc)s::jsonb -> 's') as s(id uuid, t bigint)
    where m.tenant_id = %(tenant)s and m.id = s.id
)
insert into messaging.scheduled_jobs
    (tenant_id, job_type, args, lane, unique_key, priority, scheduled_for)
select %(tenant)s, 'react_to_message', m.args, m.v, m.v, 10, clock_timestamp()
from jsonb_to_recordset(%(doc)s::jsonb -> 'm') as m(v text, args jsonb)
"""


@dataclass(frozen=True, slots=True)
class Shape:
    """One measurement: bodies of `messages` from known and `new` persons and of `statuses`."""

    letter: str
    name: str
    connections: int
    known: int
    new: int
    statuses: int
    bodies: int
    rounds: int
    floor: float


SHAPES = [
    Shape("a", "single-1c", 1, 1, 0, 0, 250, 9, 0.55),
    Shape("a", "single-4c", 4, 1, 0, 0, 150, 9, 0.55),
    Shape("b", "body-100-known-1c", 1, 50, 0, 50, 12, 7, 0.55),
    Shape("b", "body-100-known-4c", 4, 50, 0, 50, 6, 7, 0.55),
    Shape("b", "body-1000-known-1c", 1, 500, 0, 500, 2, 15, 0.60),
    Shape("b", "body-1000-known-4c", 4, 500, 0, 500, 1, 15, 0.60),
    Shape("b", "body-100-new-1c", 1, 40, 10, 50, 12, 7, 0.45),
    Shape("b", "body-100-new-4c", 4, 40, 10, 50, 6, 7, 0.45),
    Shape("b", "body-1000-new-1c", 1, 400, 100, 500, 2, 15, 0.45),
    Shape("b", "body-1000-new-4c", 4, 400, 100, 500, 1, 15, 0.45),
]


def run(database: ClonedDatabase, only: str = "") -> list[Figure]:
    """Measure every shape (whose name contains `only`) on `database`, which it fills."""
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        values = {
            "tenant": TENANT,
            "account": ACCOUNT,
            "waba": WABA,
            "number": NUMBER,
            "contacts": CONTACTS * CONNECTIONS,
            "sent": SENT * CONNECTIONS,
        }
        for statement in SEED.split(";\n"):
            if statement.strip():
                connection.execute(statement, values)
        connection.execute("vacuum analyze")
        workers = [Worker(database, slot) for slot in range(CONNECTIONS)]
        try:
            return [
                _measure(connection, workers[: shape.connections], shape)
                for shape in SHAPES
                if only in shape.name
            ]
        finally:
            for worker in workers:
                worker.stop()


def _measure(connection: psycopg.Connection[Any], workers: list[Worker], shape: Shape) -> Figure:
    rates: dict[str, list[float]] = {"ours": [], "bare": []}
    for round_ in range(shape.rounds + 1):
        order = ("ours", "bare") if round_ % 2 else ("bare", "ours")
        for form in order:
            # A worker would have done the last round's reactions by now.
            connection.execute("truncate messaging.scheduled_jobs")
            for worker in workers:
                worker.ask(("prepare", form, shape))
            for worker in workers:
                worker.answer()
            start = time.perf_counter()
            for worker in workers:
                worker.ask(("go",))
            for worker in workers:
                worker.answer()
            took = time.perf_counter() - start
            if round_:  # the first round warms plans, caches and the WAL
                rates[form].append(shape.bodies * len(workers) / took)
    figure = Figure(shape.letter, shape.name, ratio(rates["ours"], rates["bare"]), shape.floor)
    updates = shape.known + shape.new + shape.statuses
    print(
        f"  {shape.name}: ours {sorted(rates['ours'])[shape.rounds // 2] * updates:,.0f} updates/s,"
        f" bare {sorted(rates['bare'])[shape.rounds // 2] * updates:,.0f}/s -> {figure.value:.2f}",
        flush=True,
    )
    return figure


class Worker:
    """A process with one connection of each kind, that prepares bodies untimed and then goes."""

    def __init__(
        self,
        database: ClonedDatabase,
        slot: int,
        queries: tuple[LiteralString, ...] = (KNOWN, ACCEPTED),
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_work,
            args=(theirs, database.app_url, database.superuser_url, slot, queries),
            daemon=True,
        )
        self._process.start()
        self.answer()

    def ask(self, command: tuple[Any, ...]) -> None:
        self._pipe.send(command)

    def answer(self) -> Any:
        return self._pipe.recv()

    def stop(self) -> None:
        self.ask(("stop",))
        self._process.join(5)


def _work(
    pipe: Pipe, app_url: str, superuser_url: str, slot: int, queries: tuple[LiteralString, ...]
) -> None:
    os.environ["DATABASE_URL"] = app_url
    os.environ["META_SECRET_ARN"] = "bench"
    os.environ["LOG_LEVEL"] = "INFO"
    import io
    import sys

    # Log lines are written, as in production, to a place that costs what a pipe costs.
    sink = io.TextIOWrapper(open(os.devnull, "wb"))  # noqa: PTH123, SIM115
    from functions.webhook import app
    from switchboard.tools import tools

    secret = json.dumps({"app_secret": SECRET, "verify_token": "x"})
    tools().secrets._fetch = lambda arn, *, fresh: secret  # noqa: ARG005
    bare = psycopg.connect(superuser_url, autocommit=True, prepare_threshold=0)
    material = Material(bare, slot, queries)
    pipe.send("ready")
    sys.stdout = sink
    ready: list[Any] = []
    form = ""
    statement = ""
    for command in iter(pipe.recv, ("stop",)):
        if command[0] == "prepare":
            form, shape = command[1], command[2]
            single = shape.known + shape.new + shape.statuses == 1
            statement = BARE_MESSAGE if single else BARE_BODY
            ready = [
                material.event(shape) if form == "ours" else material.values(shape, single=single)
                for _ in range(shape.bodies)
            ]
        elif form == "ours":
            for event in ready:
                answer = app.handler(event, None)
                assert answer["statusCode"] == 200, answer
        else:
            for values in ready:
                bare.execute(statement, values, prepare=True)
        pipe.send("done")


class Material:
    """Contacts and messages of one connection, each used once, and the bodies made of them."""

    def __init__(
        self, connection: psycopg.Connection[Any], slot: int, queries: tuple[LiteralString, ...]
    ) -> None:
        values = {"connections": CONNECTIONS, "slot": slot}
        people = connection.execute(queries[0], values).fetchall()
        sent = connection.execute(queries[1], values).fetchall()
        # Contacts and messages come round again; a status then has a later time, so is a new one.
        self._people = itertools.cycle(people)
        self._sent = ((*row, SECOND + lap) for lap in itertools.count() for row in sent)
        self._ids = (slot * 10_000_000 + n for n in itertools.count())
        self._slot = slot

    def event(self, shape: Shape) -> dict[str, Any]:
        """Return an API Gateway event of a signed body."""
        messages: list[dict[str, Any]] = []
        contacts: list[dict[str, Any]] = []
        for person, known in self._senders(shape):
            number = next(self._ids)
            messages.append(
                {
                    "from": person[2],
                    "id": f"wamid.HBgLNDkxNTUIN{number}",
                    "timestamp": str(SECOND + number % 10_000_000),
                    "type": "text",
                    "text": {"body": f"hello, this is message number {number}"},
                }
            )
            contacts.append({"profile": {"name": f"Person {known}"}, "wa_id": person[2]})
        statuses = [
            _status(wamid, time_)
            for _, wamid, time_ in itertools.islice(self._sent, shape.statuses)
        ]
        value = {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "15550001111", "phone_number_id": NUMBER},
            "contacts": contacts,
            "messages": messages,
            "statuses": statuses,
        }
        body = json.dumps(
            {
                "object": "whatsapp_business_account",
                "entry": [{"id": WABA, "changes": [{"field": "messages", "value": value}]}],
            }
        )
        signed = hmac.new(SECRET.encode(), body.encode(), hashlib.sha256).hexdigest()
        return {
            "version": "2.0",
            "routeKey": "POST /webhook",
            "rawPath": "/webhook",
            "headers": {
                "content-type": "application/json",
                "x-hub-signature-256": f"sha256={signed}",
            },
            "requestContext": {"http": {"method": "POST", "path": "/webhook"}},
            "body": body,
            "isBase64Encoded": False,
        }

    def values(self, shape: Shape, *, single: bool) -> dict[str, Any]:
        """Return the bare statement's parameters: what it writes, ids and all."""
        from datetime import UTC, datetime

        from switchboard.kernel.clock import uuid7

        rows: list[dict[str, Any]] = []
        fresh: list[dict[str, Any]] = []
        for person, known in self._senders(shape):
            number = next(self._ids)
            contact, conversation, phone = person
            id_ = uuid7()
            row: dict[str, Any] = {
                "id": str(id_),
                "c": str(contact),
                "v": str(conversation),
                "w": f"wamid.HBgLNDkxNTUIN{number}",
                "t": SECOND + number % 10_000_000,
                "name": f"Person {known}",
                "known": known,
                "preview": f"hello, this is message number {number}",
                "content": {"body": f"hello, this is message number {number}"},
                "args": {"conversation_id": str(conversation), "message_ids": [str(id_)]},
            }
            rows.append(row)
            if not known:
                fresh.append(
                    {"c": str(contact), "phone": phone, "name": row["name"], "t": row["t"]}
                )
        if single:
            row = rows[0]
            return {
                "tenant": TENANT,
                "account": ACCOUNT,
                "wamid": row["w"],
                "id": UUID(row["id"]),
                "name": row["name"],
                "at": datetime.fromtimestamp(row["t"], UTC),
                "contact": UUID(row["c"]),
                "conversation": UUID(row["v"]),
                "preview": row["preview"],
                "content": json.dumps(row["content"]),
                "args": json.dumps(row["args"]),
            }
        statuses = [
            {"id": str(id_), "w": wamid, "t": time_, "d": _status(wamid, time_)}
            for id_, wamid, time_ in itertools.islice(self._sent, shape.statuses)
        ]
        document = {"m": rows, "new": fresh, "s": statuses}
        return {"tenant": TENANT, "account": ACCOUNT, "doc": json.dumps(document)}

    def _senders(self, shape: Shape) -> list[tuple[Any, bool]]:
        from switchboard.kernel.clock import uuid7

        known = [(person, True) for person in itertools.islice(self._people, shape.known)]
        new = [
            ((uuid7(), uuid7(), f"48{self._slot}{next(self._ids):09d}"), False)
            for _ in range(shape.new)
        ]
        return [*known, *new]


def _status(wamid: str, time_: int) -> dict[str, Any]:
    """Return Meta's object of a status, which both forms keep whole."""
    return {
        "id": wamid,
        "status": "sent",
        "timestamp": str(time_),
        "recipient_id": "4910000000",
        "pricing": {"billable": True, "pricing_model": "PMP", "category": "utility"},
    }
