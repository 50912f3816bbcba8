"""What the webhook tests share: tenants' numbers, Meta's bodies, environments to post them to.

An `Environment` is one execution environment: its own tools and connection, asked through the real
handler with API Gateway events (payload 2.0). Several of them may be used from several threads.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from uuid import UUID

import pytest
from botocore.client import BaseClient
from moto import mock_aws

from functions.webhook import app
from switchboard.intake import backlog
from switchboard.kernel import aws
from switchboard.kernel.clock import Clock
from switchboard.kernel.db import Connection, Database
from switchboard.kernel.secrets import Secrets
from switchboard.kernel.settings import Settings
from switchboard.tools import Tools
from switchboard.whatsapp.signature import sign
from tests.databases import ClonedDatabase, WarmDatabase, part_with

Json = dict[str, Any]

#: The tests' present. Near the machine's, since status events go into the partitions around it.
NOW = datetime.now(UTC).replace(microsecond=0)
SECOND = int(NOW.timestamp())
SECRET, TOKEN = "operator-app-secret", "operator-verify-token"
META_ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:meta"
BUCKET = "backlog"
RECIPIENT = "4915550000001"
REGION = "eu-central-1"


@dataclass(frozen=True, slots=True)
class Number:
    """A business number of a tenant; `app_id` is the tenant's own Meta app, None the operator's."""

    tenant_id: UUID
    account_id: UUID
    waba_id: str
    phone_number_id: str
    app_id: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who writes, as Meta shows them: any of the ids may be hidden."""

    phone: str | None = None
    user_id: str | None = None
    parent_user_id: str | None = None
    name: str | None = None
    username: str | None = None

    @property
    def contact(self) -> Json | None:
        """Return the contacts[] entry; None for someone who shows no profile."""
        if self.name is None and self.username is None:
            return None
        profile = {"name": self.name, "username": self.username}
        contact = {
            "profile": {key: value for key, value in profile.items() if value is not None},
            "wa_id": self.phone,
            "user_id": self.user_id,
            "parent_user_id": self.parent_user_id,
        }
        return {key: value for key, value in contact.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Update:
    """One part of a delivery: a message (with its sender's contact), a status, or anything odd."""

    number: Number
    part: Any
    list_name: str = "messages"
    contact: Json | None = None


def message(
    number: Number,
    wamid: str,
    sender: Person,
    at: int = SECOND,
    *,
    kind: str = "text",
    content: Any = None,
    **extra: Any,
) -> Update:
    """Return a message of `kind` with Meta's object of that name (default: a text's)."""
    part: Json = {
        "from": sender.phone,
        "from_user_id": sender.user_id,
        "from_parent_user_id": sender.parent_user_id,
        "id": wamid,
        "timestamp": str(at),
        "type": kind,
        kind: {"body": f"text of {wamid}"} if content is None and kind == "text" else content,
        **extra,
    }
    part = {key: value for key, value in part.items() if value is not None}
    return Update(number, part, contact=sender.contact)


def status(
    number: Number, wamid: str, word: str, at: int = SECOND, *, key: str | None = None, **extra: Any
) -> Update:
    """Return a status; `key` comes back as biz_opaque_callback_data."""
    part: Json = {
        "id": wamid,
        "status": word,
        "timestamp": str(at),
        "recipient_id": RECIPIENT,
    }
    if key is not None:
        part["biz_opaque_callback_data"] = key
    return Update(number, {**part, **extra}, "statuses")


def failure(code: int, title: str = "Undeliverable") -> list[Json]:
    """Return the errors of a failed status."""
    return [{"code": code, "title": title}]


def pack(updates: Iterable[Update]) -> bytes:
    """Return one body of `updates` in their order; neighbours of one number share a change.

    Persons in one change are told apart by their ids, so a second profile of one person and a
    person who hides an id begin another change.
    """
    entries: list[Json] = []
    open_for: Number | None = None
    value: Json = {}
    people: dict[str, Json | None] = {}
    for update in updates:
        ids = (
            [update.part[k] for k in ("from", "from_user_id") if k in update.part]
            if (update.list_name == "messages" and isinstance(update.part, dict))
            else []
        )
        clash = any(i in people and people[i] != update.contact for i in ids)
        if update.number != open_for or clash:
            open_for = update.number
            people = {}
            value = {
                "messaging_product": "whatsapp",
                "metadata": {
                    "display_phone_number": "15550001111",
                    "phone_number_id": update.number.phone_number_id,
                },
            }
            change = {"field": "messages", "value": value}
            if entries and entries[-1]["id"] == update.number.waba_id:
                entries[-1]["changes"].append(change)
            else:
                entries.append({"id": update.number.waba_id, "changes": [change]})
        value.setdefault(update.list_name, []).append(update.part)
        people.update(dict.fromkeys(ids, update.contact))
        contacts = value.setdefault("contacts", [])
        if update.contact is not None and update.contact not in contacts:
            contacts.append(update.contact)
    return body_of(entries)


def body_of(entries: list[Json]) -> bytes:
    """Return a body of these entries, as Meta writes JSON (ASCII with escapes)."""
    return json.dumps(
        {"object": "whatsapp_business_account", "entry": entries}, separators=(",", ":")
    ).encode()


def post_event(
    body: bytes,
    *,
    secret: str | None = SECRET,
    app_id: str | None = None,
    as_base64: bool = False,
    headers: dict[str, str] | None = None,
) -> Json:
    """Return API Gateway's event of a delivery; `headers` replace the signature's."""
    path = "/webhook" if app_id is None else f"/webhook/{app_id}"
    if headers is None:
        headers = {} if secret is None else {"x-hub-signature-256": sign(body, secret)}
    event = _event("POST", path, app_id)
    event["headers"] = {"content-type": "application/json", **headers}
    try:
        event["body"] = body.decode()
    except UnicodeDecodeError:  # what is no text, API Gateway encodes
        as_base64 = True
    if as_base64:
        event["body"] = base64.b64encode(body).decode()
    event["isBase64Encoded"] = as_base64
    return event


def get_event(query: dict[str, str] | None, app_id: str | None = None) -> Json:
    """Return API Gateway's event of a handshake."""
    event = _event("GET", "/webhook" if app_id is None else f"/webhook/{app_id}", app_id)
    if query is not None:
        event["queryStringParameters"] = query
    return event


def _event(method: str, path: str, app_id: str | None) -> Json:
    route = "/webhook" if app_id is None else "/webhook/{app_id}"
    event: Json = {
        "version": "2.0",
        "routeKey": f"{method} {route}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "switchboard.example"},
        "requestContext": {
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "::1"},
            "requestId": str(uuid.uuid4()),
            "routeKey": f"{method} {route}",
            "stage": "$default",
        },
        "isBase64Encoded": False,
    }
    if app_id is not None:
        event["pathParameters"] = {"app_id": app_id}
    return event


@dataclass
class MetaSecret:
    """The operator's secret in Secrets Manager; counts how often it was read past every cache."""

    value: Json = field(default_factory=lambda: {"app_secret": SECRET, "verify_token": TOKEN})
    reads: int = 0
    fresh_reads: int = 0

    def __call__(self, arn: str, *, fresh: bool) -> str:
        """Return the secret's string, as the extension does."""
        assert arn == META_ARN
        self.reads += 1
        self.fresh_reads += fresh
        return json.dumps(self.value)


@dataclass
class Stopwatch:
    """Seconds that pass only when told to."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.seconds


_of_this_thread = threading.local()


def _tools() -> Tools:
    tools: Tools = _of_this_thread.tools
    return tools


class Environment:
    """One execution environment of the webhook function.

    `now` is the time that statements take for now (None: the database's clock, as in production).
    """

    def __init__(
        self,
        database: ClonedDatabase | str,
        *,
        now: datetime | None = None,
        meta: MetaSecret | None = None,
        function: str | None = None,
        key_id: str | None = None,
        stopwatch: Stopwatch | None = None,
        wall: Callable[[], float] | None = None,
    ) -> None:
        vars(app)["tools"] = _tools
        self.meta = meta or MetaSecret()
        self.nudges = 0
        db: Database | None = None
        if isinstance(database, str):
            url = database
        else:
            url, db = database.app_url, WarmDatabase(database)
        if wall is not None:
            db = Database(url, wall=wall)
        clock = Clock(now=now) if stopwatch is None else Clock(now=now, monotonic=stopwatch)
        self.tools = _CountingTools(
            self,
            Settings(
                database_url=url,
                meta_secret_arn=META_ARN,
                backlog_bucket=BUCKET,
                process_jobs_function=function,
                kms_key_id=key_id,
            ),
            clock=clock,
            db=db,
            secrets=Secrets(fetch=self.meta, monotonic=clock.monotonic),
        )

    def ask(self, event: Json) -> Json:
        """Return the handler's answer to API Gateway's event."""
        _of_this_thread.tools = self.tools
        return app.handler(event, None)

    def post(
        self,
        updates: bytes | Iterable[Update],
        *,
        secret: str = SECRET,
        app_id: str | None = None,
    ) -> int:
        """Deliver a body, well signed; return the HTTP status of the answer."""
        body = updates if isinstance(updates, bytes) else pack(updates)
        status: int = self.ask(post_event(body, secret=secret, app_id=app_id))["statusCode"]
        return status

    def close(self) -> None:
        """Part with its connection."""
        part_with(self.tools.db)


class _CountingTools(Tools):
    def __init__(self, environment: Environment, settings: Settings, **parts: Any) -> None:
        super().__init__(settings, **parts)
        self._environment = environment

    def nudge(self) -> None:
        self._environment.nudges += 1
        super().nudge()


class Place:
    """A database with its tenants and numbers, looked at by the superuser."""

    def __init__(self, database: ClonedDatabase) -> None:
        self.database = database
        self._environments: list[Environment] = []

    @cached_property
    def everything(self) -> Connection:
        """Return the superuser's connection, who sees every row."""
        return self.database.superuser()

    def close(self) -> None:
        """Part with every connection."""
        for environment in self._environments:
            environment.close()
        self.database.give_back(self.database.superuser_url, self.everything)

    def environment(self, **parts: Any) -> Environment:
        """Return a new execution environment on this database."""
        environment = Environment(self.database, **parts)
        self._environments.append(environment)
        return environment

    @cached_property
    def usual(self) -> Environment:
        """Return the environment for whom nothing depends on which; its time stands at NOW."""
        return self.environment(now=NOW)

    def post(self, *updates: Update) -> None:
        """Deliver `updates` in one body, well signed, to the usual environment."""
        assert self.usual.post(updates) == 200

    def drain(self) -> None:
        """Store what a busy machine has sent to the backlog; whatever was answered 200 is there."""
        s3 = aws.client("s3")
        while waiting(s3):
            assert backlog.drain(self.usual.tools, lambda: True).failed == 0

    def tenant(self) -> UUID:
        """Make a tenant."""
        tenant = uuid.uuid4()
        self.everything.execute(
            "insert into messaging.tenants (id, slug, name) values (%s, %s, 'T')",
            (tenant, f"t-{tenant}"),
        )
        return tenant

    def number(
        self, tenant: UUID | None = None, *, waba_id: str | None = None, app_id: str | None = None
    ) -> Number:
        """Make a number: of a new tenant, under a new WABA, unless they are given."""
        tenant = tenant or self.tenant()
        digits = uuid.uuid4().int % 10**12
        number = Number(
            tenant, uuid.uuid4(), waba_id or f"2{digits:014d}", f"3{digits:014d}", app_id
        )
        self.everything.execute(
            "insert into messaging.whatsapp_business_accounts (tenant_id, waba_id, app_id)"
            " values (%s, %s, %s) on conflict do nothing",
            (tenant, number.waba_id, app_id),
        )
        self.everything.execute(
            "insert into messaging.whatsapp_accounts (tenant_id, id, waba_id, phone_number_id,"
            " phone_number, display_name, status) values (%s, %s, %s, %s, %s, 'N', 'connected')",
            (tenant, number.account_id, number.waba_id, number.phone_number_id, f"+1{digits:012d}"),
        )
        return number

    def sent_messages(
        self,
        number: Number,
        wamids: Sequence[str | None],
        *,
        status: str = "accepted",
        phone: str | None = None,
    ) -> list[UUID]:
        """Put in outbound messages to one person; those with an id of Meta's have their key."""
        phone = phone or f"4917{uuid.uuid4().int % 10**9:09d}"
        contact, conversation = uuid.uuid4(), uuid.uuid4()
        with self.everything.transaction():
            self.everything.execute(
                "insert into messaging.contact_identifiers (tenant_id, kind, value, contact_id)"
                " values (%s, 'phone', %s, %s)",
                (number.tenant_id, phone, contact),
            )
            self.everything.execute(
                "insert into messaging.contacts (tenant_id, id, phone_number) values (%s, %s, %s)",
                (number.tenant_id, contact, f"+{phone}"),
            )
        self.everything.execute(
            "insert into messaging.whatsapp_conversations (tenant_id, id, account_id, contact_id)"
            " values (%s, %s, %s, %s)",
            (number.tenant_id, conversation, number.account_id, contact),
        )
        ids = [Clock().new_id() for _ in wamids]
        rows = self.everything.execute(
            "insert into messaging.whatsapp_messages (tenant_id, id, account_id, conversation_id,"
            " contact_id, wa_message_id, direction, origin, message_type, content, status,"
            " status_rank, occurred_at)"
            " select %s, m.id, %s, %s, %s, m.w, 'outbound', 'api', 'text',"
            """ '{"body": "hello"}', %s, messaging.status_rank(%s), clock_timestamp()"""
            " from unnest(%s::uuid[], %s::text[]) as m(id, w)"
            " returning tenant_id, account_id, wa_message_id, id",
            (
                *(number.tenant_id, number.account_id, conversation, contact, status, status),
                *(ids, list(wamids)),
            ),
        ).fetchall()
        self.everything.cursor().executemany(
            "insert into messaging.message_keys (tenant_id, account_id, wa_message_id, message_id)"
            " values (%s, %s, %s, %s)",
            [row for row in rows if row[2] is not None],
        )
        return ids

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query as the superuser sees them."""
        return self.everything.execute(query, values or None).fetchall()

    def one(self, query: str, *values: Any) -> Any:
        """Return the only value of a query."""
        ((value,),) = self.rows(query, *values)
        return value

    def count(self, table: str) -> int:
        """Return how many rows a table has."""
        counted: int = self.one(f"select count(*) from messaging.{table}")
        return counted

    def letters(self) -> dict[tuple[UUID, str], list[bytes]]:
        """Return the dead letters' bodies by tenant and reason."""
        found: dict[tuple[UUID, str], list[bytes]] = {}
        for tenant, reason, body in self.rows(
            "select tenant_id, reason, body from messaging.webhook_dead_letters order by sha256"
        ):
            found.setdefault((tenant, reason), []).append(bytes(body))
        return found

    def snapshot(self) -> dict[str, list[str]]:
        """Return every row of every table, all columns, each table sorted."""
        tables = self.rows(
            "select c.relname from pg_class as c where c.relnamespace = 'messaging'::regnamespace"
            " and c.relkind in ('r', 'p') and not c.relispartition order by 1"
        )
        return {
            name: [
                row[0] for row in self.rows(f"select t::text from messaging.{name} as t order by 1")
            ]
            for (name,) in tables
        }


@contextmanager
def aws_at_hand() -> Iterator[Any]:
    """Yield moto's S3 client, with the backlog's bucket; KMS and Lambda are moto's, too."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            patch.setenv(name, "testing")
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            patch.setenv(name, REGION)
        call = vars(BaseClient)["_make_api_call"]
        patch.setattr(BaseClient, "_make_api_call", _one_at_a_time(call))
        aws.client.cache_clear()
        s3 = aws.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        try:
            yield s3
        finally:
            aws.client.cache_clear()


def _one_at_a_time(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return `call` behind a lock: moto cannot take two writers of one key."""
    lock = threading.Lock()

    def guarded(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return call(*args, **kwargs)

    return guarded


def waiting(s3: Any) -> list[str]:
    """Return the keys of the backlog's objects."""
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def in_threads(count: int, work: Any) -> list[Any]:
    """Run `work(n)` in `count` threads that start together; return the results or raise."""
    results: list[Any] = [None] * count
    errors: list[BaseException] = []
    gate = threading.Barrier(count)

    def run(n: int) -> None:
        try:
            gate.wait(30)
            results[n] = work(n)
        except BaseException as error:  # noqa: BLE001 - raised below, in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for what another thread or process does; fails when it does not happen in time."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.005)


def digest(body: bytes) -> str:
    """Return the SHA-256 of `body` in hex."""
    return hashlib.sha256(body).hexdigest()


def seed() -> int:
    """Return the seed of this run (`SEED`, default 1)."""
    return int(os.environ.get("SEED", "1"))


def report(name: str, **counts: Any) -> None:
    """Print what a full-size run did: commit, seed, counts."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    ).stdout.strip()
    told = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in counts.items())
    print(f"\n{name}: commit {commit or 'unknown'}, seed {seed()}: {told}", flush=True)
