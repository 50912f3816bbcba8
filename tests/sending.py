"""What the send tests share: tenants with numbers and people, a clock to turn, statuses."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import psycopg

from switchboard.intake.store import store as take_in
from switchboard.kernel.clock import Clock, uuid7
from switchboard.kernel.db import Connection, Database
from switchboard.kernel.settings import Settings
from switchboard.tools import Tools
from switchboard.whatsapp.client import GraphClient
from tests.databases import ClonedDatabase, WarmDatabase, part_with


class Time:
    """The tests' clock: stands still until it is turned; ids carry its time."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)
        self._last = 0

    def turn(self, **by: float) -> None:
        """Let time pass."""
        self.now += timedelta(**by)

    def new_id(self) -> UUID:
        """Return a version-7 UUID of this time; later ones are greater."""
        self._last = max(self._last + 1, int(self.now.timestamp() * 1000))
        return uuid7(self._last)

    def clock(self) -> Clock:
        """Return the clock as it stands; it does not follow later turns."""
        return Clock(now=self.now, new_id=self.new_id)


class PlainSealer:
    """Tokens are as they are: sealing is tested elsewhere."""

    def unseal(self, sealed: bytes, *, tenant_id: UUID | str, purpose: str) -> str:
        """Return what `Place` stored."""
        assert purpose == "access_token"
        assert tenant_id is not None
        return bytes(sealed).decode()

    def seal(self, plain: str, *, tenant_id: UUID | str, purpose: str) -> bytes:
        """Return what nobody opens here."""
        return f"{tenant_id}/{purpose}/{plain}".encode()


@dataclass(frozen=True)
class Person:
    """A contact with a phone number, and the conversation with one number."""

    contact_id: UUID
    conversation_id: UUID
    phone: str


@dataclass
class Place:
    """A tenant with one number and a key, as a superuser put it there."""

    everything: Connection
    time: Time
    tenant_id: UUID = field(default_factory=uuid.uuid4)
    account_id: UUID = field(default_factory=uuid.uuid4)
    phone_number_id: str = ""
    waba_id: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        digits = str(self.tenant_id.int % 10**12).zfill(12)
        self.phone_number_id, self.waba_id = f"1{digits}", f"2{digits}"
        self.key = self.add_key("messages:send", "messages:read", tenant=True)

    def add_key(self, *scopes: str, tenant: bool = False) -> str:
        """Store an API key with these scopes and return it; `tenant`: and all around it."""
        if tenant:
            self._add_number()
        key = f"sb_{uuid.uuid4().hex}{uuid.uuid4().hex}"
        self.everything.execute(
            "insert into messaging.api_keys (tenant_id, name, key_hash, key_prefix, scopes)"
            " values (%s, 'test', %s, 'sb_', %s)",
            (self.tenant_id, hashlib.sha256(key.encode()).digest(), list(scopes)),
        )
        return key

    def _add_number(self) -> None:
        self.everything.execute(
            "insert into messaging.tenants (id, slug, name) values (%s, %s, 'T')",
            (self.tenant_id, f"t-{self.tenant_id}"),
        )
        self.everything.execute(
            "insert into messaging.whatsapp_business_accounts (tenant_id, waba_id) values (%s, %s)",
            (self.tenant_id, self.waba_id),
        )
        self.everything.execute(
            "insert into messaging.whatsapp_accounts (tenant_id, id, waba_id, phone_number_id,"
            " phone_number, display_name, access_token_sealed, status)"
            " values (%s, %s, %s, %s, %s, 'N', %s, 'connected')",
            (
                self.tenant_id,
                self.account_id,
                self.waba_id,
                self.phone_number_id,
                f"+1{self.phone_number_id}",
                f"token-{self.phone_number_id}".encode(),
            ),
        )

    def person(self, phone: str | None = None, *, window: float | None = 24) -> Person:
        """Add a person who wrote; the window ends `window` hours from now (None: never wrote)."""
        phone = phone or f"4915{uuid.uuid4().int % 10**9:09d}"
        person = Person(uuid7(), uuid7(), phone)
        self.everything.execute(
            "insert into messaging.contacts (tenant_id, id, phone_number) values (%s, %s, %s)",
            (self.tenant_id, person.contact_id, f"+{phone}"),
        )
        self.everything.execute(
            "insert into messaging.contact_identifiers (tenant_id, kind, value, contact_id)"
            " values (%s, 'phone', %s, %s)",
            (self.tenant_id, phone, person.contact_id),
        )
        end = None if window is None else self.time.now + timedelta(hours=window)
        self.everything.execute(
            "insert into messaging.whatsapp_conversations (tenant_id, id, account_id, contact_id,"
            " window_expires_at) values (%s, %s, %s, %s, %s)",
            (self.tenant_id, person.conversation_id, self.account_id, person.contact_id, end),
        )
        return person

    def set_number(self, **columns: Any) -> None:
        """Change the number's row."""
        for name, value in columns.items():
            self.everything.execute(
                psycopg.sql.SQL(
                    "update messaging.whatsapp_accounts set {} = %s where id = %s"
                ).format(psycopg.sql.Identifier(name)),
                (value, self.account_id),
            )

    def message(self, message_id: UUID | str) -> dict[str, Any]:
        """Return a message's row."""
        (row,) = self.rows("whatsapp_messages", id=message_id)
        return row

    def rows(self, table: str, **where: Any) -> list[dict[str, Any]]:
        """Return the tenant's rows of `table`, the oldest first where their ids tell."""
        query = psycopg.sql.SQL("select * from messaging.{} where tenant_id = %s").format(
            psycopg.sql.Identifier(table)
        )
        for name in where:
            query += psycopg.sql.SQL(" and {} = %s").format(psycopg.sql.Identifier(name))
        with self.everything.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            rows = cursor.execute(query, [self.tenant_id, *where.values()]).fetchall()
        if all(isinstance(row.get("id"), int) or is_uuid7(row.get("id")) for row in rows):
            rows.sort(key=lambda row: row["id"])
        return rows


def is_uuid7(value: object) -> bool:
    """Return whether `value` is an id that carries its time."""
    return isinstance(value, UUID) and value.version == 7


def connect(database: ClonedDatabase) -> Connection:
    """Return a connection that sees everything."""
    return database.superuser()


def make_tools(
    database: ClonedDatabase | Database,
    clock: Clock | None = None,
    *,
    transport: httpx.BaseTransport | None = None,
    graph_url: str = "http://graph.invalid",
    **settings: Any,
) -> Tools:
    """Return the tools of one process, as the app role."""
    made = Tools(
        Settings(graph_api_url=graph_url, stage="local", **settings),
        clock=clock,
        db=database if isinstance(database, Database) else WarmDatabase(database),
    )
    made.sealer = PlainSealer()  # type: ignore[assignment]
    if transport is not None:
        # cached_property: a value of its own name in the instance comes first.
        made.__dict__["graph"] = GraphClient(graph_url, "v23.0", transport=transport)
    return made


class World:
    """A test's database, what a superuser sees of it, and the processes that work on it."""

    def __init__(self, database: ClonedDatabase) -> None:
        self.database = database
        self.everything = connect(database)
        self._tools: list[Tools] = []

    def place(self) -> Place:
        """Return a new tenant with a number, and a time of its own."""
        return Place(self.everything, Time())

    def tools(self, clock: Clock | None = None, **how: Any) -> Tools:
        """Return the tools of a new process; its connection is closed with the world."""
        made = make_tools(self.database, clock, **how)
        self._tools.append(made)
        return made

    def close(self) -> None:
        """Part with every connection."""
        for tools in self._tools:
            part_with(tools.db)
            if "graph" in tools.__dict__:
                tools.graph.close()
        self.database.give_back(self.database.superuser_url, self.everything)


def status_body(
    place: Place, wa_message_id: str, callback_data: str | None, *steps: tuple[str, datetime]
) -> bytes:
    """Return a delivery with statuses as Meta writes them, in the order of `steps`."""
    statuses = [
        {
            "id": wa_message_id,
            "status": status,
            "timestamp": str(int(at.timestamp())),
            "recipient_id": "4915550001",
            **({"biz_opaque_callback_data": callback_data} if callback_data else {}),
            **({"errors": [{"code": 131026, "title": "no"}]} if status == "failed" else {}),
        }
        for status, at in steps
    ]
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"phone_number_id": place.phone_number_id, "display_phone_number": "1"},
        "statuses": statuses,
    }
    change = {"field": "messages", "value": value}
    return json.dumps(
        {
            "object": "whatsapp_business_account",
            "entry": [{"id": place.waba_id, "changes": [change]}],
        }
    ).encode()


def deliver(tools: Tools, body: bytes) -> None:
    """Take a delivery in, as the webhook function does after the signature."""
    take_in(tools, body, None)


def poll(until: Callable[[], bool], *, seconds: float = 10.0) -> None:
    """Wait for another process or thread; fails when it does not come."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
