"""What the tests of subscriptions share: an endpoint that listens, and a tenant that is told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID, uuid4

from switchboard.inbox import subscriptions
from switchboard.inbox.subscriptions import NewSubscription, SubscriptionSecret
from switchboard.kernel.clock import Clock
from switchboard.kernel.errors import ConfigurationError
from switchboard.kernel.seal import Sealer
from switchboard.kernel.settings import Settings
from switchboard.tools import Tools
from switchboard.worker import Summary, drain
from tests.databases import ClonedDatabase, WarmDatabase, part_with
from tests.sending import Place, World, deliver

Json = dict[str, Any]
PHONE = "4915550000001"


class Wax(Sealer):
    """Seals readably, and only for the one purpose."""

    def __init__(self) -> None:
        super().__init__("key")
        self.is_away = False

    def seal(self, plain: str, *, tenant_id: UUID | str, purpose: str) -> bytes:
        return f"{tenant_id}/{purpose}/{plain}".encode()

    def unseal(self, sealed: bytes, *, tenant_id: UUID | str, purpose: str) -> str:
        if self.is_away:
            raise ConfigurationError("KMS is away")
        tenant, kind, plain = bytes(sealed).decode().split("/", 2)
        assert (tenant, kind) == (str(tenant_id), purpose) == (tenant, "subscription_secret")
        return plain


@dataclass
class Told:
    """One request that an endpoint got."""

    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Json:
        document: Json = json.loads(self.body)
        return document

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def fits(self, secret: str) -> list[bool]:
        """Verify as a receiver does (Standard Webhooks): each signature of the header."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return [one == f"v1,{expected}" for one in self.headers["webhook-signature"].split(" ")]


class Endpoint(ThreadingHTTPServer):
    """A subscriber's system; `answer` gets each request and gives the HTTP status."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told: list[Told] = []
        self.lock = threading.Lock()
        self.answer: Callable[[BaseHTTPRequestHandler], int] = lambda _: 204

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"

    @property
    def types(self) -> list[str]:
        return [one.document["type"] for one in self.told]


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        with self.server.lock:
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.server.told.append(Told(headers, body))
        status = self.server.answer(self)
        self.send_response(status)
        if status in {301, 307}:
            self.send_header("location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    server = Endpoint()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Stand:
    """A tenant, an endpoint, and processes whose time is turned by hand."""

    world: World
    endpoint: Endpoint
    place: Place
    wax: Wax = field(default_factory=Wax)

    def __post_init__(self) -> None:
        self.workers: list[Tools] = []
        self.tools = self.worker()

    def worker(self) -> Tools:
        """Return the tools of another process."""
        tools = Tools(Settings(stage="local"), db=WarmDatabase(self.world.database))
        tools.sealer = self.wax
        self.workers.append(tools)
        return self.tick(tools)

    def tick(self, tools: Tools) -> Tools:
        tools.clock = Clock(now=self.place.time.now, new_id=self.place.time.new_id)
        return tools

    def close(self) -> None:
        for tools in self.workers:
            part_with(tools.db)
        self.world.close()

    def subscribe(self, *kinds: str, url: str | None = None) -> SubscriptionSecret:
        """Subscribe the endpoint to these kinds."""
        new = NewSubscription.model_validate(
            {"url": url or self.endpoint.url, "kinds": list(kinds)}
        )
        return subscriptions.create_subscription(self.tick(self.tools), self.place.tenant_id, new)

    def writes(self, *bodies: str) -> list[bytes]:
        """Deliver messages of one person, and return the body that was delivered."""
        second = int(self.place.time.now.timestamp())
        value = {
            "messaging_product": "whatsapp",
            "contacts": [{"profile": {"name": "Ada"}, "wa_id": PHONE}],
            "messages": [
                {
                    "from": PHONE,
                    "id": f"wamid.{uuid4().hex}",
                    "timestamp": str(second),
                    "type": "text",
                    "text": {"body": body},
                }
                for body in bodies
            ],
        }
        raw = self.body("messages", value)
        self.takes(raw)
        return [raw]

    def body(self, field: str, *values: Json) -> bytes:
        """Return a delivery of changes to the tenant's number."""
        metadata = {
            "display_phone_number": "15550001111",
            "phone_number_id": self.place.phone_number_id,
        }
        changes = [{"field": field, "value": {"metadata": metadata, **value}} for value in values]
        entry = {"id": self.place.waba_id, "changes": changes}
        return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()

    def takes(self, body: bytes) -> None:
        deliver(self.tick(self.tools), body)

    def work(self, tools: Tools | None = None, **by: float) -> Summary:
        """Run a worker until nothing is due, `by` later."""
        self.place.time.turn(**(by or {"seconds": 1}))
        return drain(self.tick(tools or self.tools), time.monotonic() + 100.0)

    def bodies(self) -> list[str]:
        """Return the texts that the endpoint got, sorted."""
        return sorted(one.document["data"]["content"]["body"] for one in self.endpoint.told)

    def rows(self, **where: Any) -> list[Json]:
        rows = self.place.rows("event_deliveries", **where)
        return sorted(rows, key=lambda row: (row["created_at"], row["kind"], str(row["id"])))

    def states(self) -> list[str]:
        return [row["state"] for row in self.rows()]

    def subscription(self) -> Json:
        (row,) = self.place.rows("event_subscriptions")
        return row

    def jobs(self) -> list[Json]:
        return self.place.rows("scheduled_jobs", job_type="notify")


@contextmanager
def stand_of(database: ClonedDatabase) -> Iterator[Stand]:
    """Yield a tenant with an endpoint, neither of which knows of the other yet."""
    world = World(database)
    with endpoint() as server:
        made = Stand(world, server, world.place())
        try:
            yield made
        finally:
            made.close()
