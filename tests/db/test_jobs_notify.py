"""Subscribers are told of what is new: signed, at least once, never for ever, and only they."""

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
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest

from switchboard import admin
from switchboard.jobs import notify
from switchboard.jobs._kind import Context
from switchboard.jobs.notify import Notify
from switchboard.kernel.clock import Clock
from switchboard.kernel.db import Database
from switchboard.kernel.errors import ConfigurationError, Conflict, NotFound, Unprocessable
from switchboard.kernel.outside import Outside
from switchboard.kernel.owner import OwnerSettings
from switchboard.kernel.settings import Settings
from switchboard.store import subscriptions
from switchboard.tools import Tools
from switchboard.worker import Summary, drain
from tests.databases import ClonedDatabase
from tests.deliveries import in_threads
from tests.sending import Place, World, deliver, status_body

Json = dict[str, Any]
PHONE = "4915550000001"


class Wax:
    """Seals readably, and only for the one purpose."""

    def __init__(self) -> None:
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
    """A tenant, an endpoint, the operator, and workers whose time is turned by hand."""

    world: World
    endpoint: Endpoint
    place: Place
    wax: Wax = field(default_factory=Wax)

    def __post_init__(self) -> None:
        self.operator = Tools(
            OwnerSettings(stage="local"), db=Database(self.world.database.owner_url)
        )
        self.operator.sealer = self.wax  # type: ignore[assignment]
        self.workers: list[Tools] = []
        self.tools = self.worker()

    def worker(self) -> Tools:
        """Return the tools of another process."""
        tools = Tools(Settings(stage="local"), db=Database(self.world.database.app_url))
        tools.sealer = self.wax  # type: ignore[assignment]
        self.workers.append(tools)
        return self.tick(tools)

    def tick(self, tools: Tools) -> Tools:
        tools.clock = Clock(now=self.place.time.now, new_id=self.place.time.new_id)
        return tools

    def close(self) -> None:
        for tools in (self.operator, *self.workers):
            tools.db.drop()
        self.world.close()

    def admin(self, command: str, **arguments: Any) -> Json:
        self.tick(self.operator)
        name = f"subscription {command}"
        given = {"tenant": str(self.place.tenant_id), **arguments}
        return admin.run(name, given, tools=self.operator)

    def subscribe(self, *kinds: str, url: str | None = None) -> Json:
        return self.admin("create", url=url or self.endpoint.url, kinds=list(kinds))

    def writes(self, *bodies: str) -> list[bytes]:
        """Deliver messages of one person, and return the body that was delivered."""
        second = int(self.place.time.now.timestamp())
        value = {
            "messaging_product": "whatsapp",
            "metadata": {"phone_number_id": self.place.phone_number_id},
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
        change = {"field": "messages", "value": value}
        entry = {"id": self.place.waba_id, "changes": [change]}
        raw = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
        self.takes(raw)
        return [raw]

    def takes(self, body: bytes) -> None:
        deliver(self.tick(self.tools), body)

    def work(self, tools: Tools | None = None, **by: float) -> Summary:
        """Run a worker until nothing is due, `by` later."""
        self.place.time.turn(**(by or {"seconds": 1}))
        return drain(self.tick(tools or self.tools), time.monotonic() + 100.0)

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


@pytest.fixture
def stand(database: ClonedDatabase) -> Iterator[Stand]:
    world = World(database)
    with endpoint() as server:
        made = Stand(world, server, world.place())
        yield made
        made.close()


def test_a_message_reaches_the_subscriber(stand: Stand) -> None:
    secret = stand.subscribe("message")["secret"]
    stand.writes("hello")
    stand.work()
    (told,) = stand.endpoint.told
    assert told.fits(secret) == [True]
    assert told.headers["content-type"] == "application/json"
    assert abs(int(told.headers["webhook-timestamp"]) - time.time()) < 300
    (message,) = stand.place.rows("whatsapp_messages")
    (delivery,) = stand.rows()
    assert told.id == str(delivery["id"])
    assert told.document["type"] == "message.received"
    data = told.document["data"]
    assert (data["id"], data["wa_message_id"], data["type"], data["content"], data["from"]) == (
        str(message["id"]),
        message["wa_message_id"],
        "text",
        {"body": "hello"},
        f"+{PHONE}",
    )
    assert data["phone_number_id"] == stand.place.phone_number_id
    assert delivery["state"] == "delivered"
    (attempt,) = delivery["attempts"]
    assert (attempt["status"], attempt["error"]) == (204, None)


def test_each_is_told_of_its_kinds_alone(stand: Stand) -> None:
    stand.subscribe("status")
    stand.writes("hello")
    stand.work()
    assert stand.endpoint.told == []
    now = stand.place.time.now
    body = status_body(stand.place, "wamid.x", None, ("sent", now), ("failed", now))
    stand.takes(body)
    stand.work()
    assert stand.endpoint.types == ["message.status"] * 2
    data = {one.document["data"]["status"]: one.document["data"] for one in stand.endpoint.told}
    assert data["failed"]["errors"] == [{"code": 131026, "title": "no"}]
    assert data["sent"]["wa_message_id"] == "wamid.x"
    for _ in range(2):  # Meta repeats itself; one new status beside the old ones
        stand.takes(body)
    stand.takes(
        status_body(stand.place, "wamid.x", None, ("sent", now), ("delivered", now), ("sent", now))
    )
    stand.work()
    assert [one.document["data"]["status"] for one in stand.endpoint.told[2:]] == ["delivered"]


def test_what_came_before_the_subscription_is_not_new_when_it_comes_again(stand: Stand) -> None:
    now = stand.place.time.now
    stand.takes(status_body(stand.place, "wamid.x", None, ("sent", now)))
    stand.subscribe("status")
    stand.takes(status_body(stand.place, "wamid.x", None, ("sent", now), ("delivered", now)))
    assert [row["status"] for row in stand.rows()] == ["delivered"]


def test_without_a_subscription_nothing_is_put_in(stand: Stand) -> None:
    stand.writes("hello")
    made = stand.subscribe("message", "status")["row"]
    stand.admin("disable", subscription=str(made["id"]))
    stand.writes("hello", "again")
    other = stand.world.place()  # another tenant's subscription is none of ours
    stand.place, ours = other, stand.place
    stand.subscribe("message")
    stand.place = ours
    stand.writes("and again")
    assert stand.rows() == []
    assert stand.jobs() == []
    assert other.rows("event_deliveries") == []


def test_every_message_of_a_webhook_once_however_often_it_comes(stand: Stand) -> None:
    stand.subscribe("message")
    (many,) = stand.writes("a", "b", "c")
    (one,) = stand.writes("d")
    for body in (many, one, many):
        stand.takes(body)
    for _ in range(3):
        stand.work()
    assert sorted(told.document["data"]["content"]["body"] for told in stand.endpoint.told) == list(
        "abcd"
    )
    assert len({told.id for told in stand.endpoint.told}) == 4


def test_somebody_blocked_reaches_nobody(stand: Stand) -> None:
    stand.subscribe("message")
    stand.writes("hello")
    stand.place.everything.execute("update messaging.contacts set is_blocked = true")
    stand.writes("one")
    stand.writes("one", "two")
    assert len(stand.rows()) == 1


class TestFailures:
    def fail(self, stand: Stand, status: int) -> Json:
        stand.subscribe("message")
        stand.endpoint.answer = lambda _: status
        stand.writes("hello")
        stand.work()
        (delivery,) = stand.rows()
        return delivery

    @pytest.mark.parametrize(
        ("status", "error"),
        [(500, "http_status"), (404, "http_status"), (301, "redirect"), (307, "redirect")],
    )
    def test_what_is_not_2xx_is_tried_again_later(
        self, stand: Stand, status: int, error: str
    ) -> None:
        delivery = self.fail(stand, status)
        assert len(stand.endpoint.told) == 1  # a redirect is not followed
        assert (delivery["state"], delivery["attempts"][0]["error"]) == ("pending", error)
        assert delivery["attempts"][0]["status"] == status
        wait = delivery["next_attempt_at"] - stand.place.time.now
        assert timedelta(seconds=4.4) <= wait <= timedelta(seconds=5.6)
        stand.endpoint.answer = lambda _: 200
        stand.work(seconds=3)
        assert len(stand.endpoint.told) == 1
        stand.work(seconds=3)
        first, second = stand.endpoint.told
        assert first.id == second.id
        assert first.document == second.document
        assert stand.states() == ["delivered"]
        assert [one["status"] for one in stand.rows()[0]["attempts"]] == [status, 200]
        assert stand.subscription()["failures"] == 0

    def test_days_later_it_is_dead_and_the_waits_grow(self, stand: Stand) -> None:
        self.fail(stand, 503)
        waits = []
        while stand.states() == ["pending"]:
            (delivery,) = stand.rows()
            wait = delivery["next_attempt_at"] - stand.place.time.now
            waits.append(wait)
            stand.work(seconds=wait.total_seconds() + 301)
            assert len(waits) < 20
        assert stand.states() == ["dead"]
        assert len(stand.endpoint.told) == len(waits) + 1 == 12
        assert len({told.id for told in stand.endpoint.told}) == 1
        assert all(a < b * 1.25 for a, b in pairwise(waits))
        assert timedelta(days=2) < sum(waits, timedelta()) < timedelta(days=5)
        stand.work(days=2)
        assert len(stand.endpoint.told) == 12

    def test_410_ends_the_subscription_and_what_waits(self, stand: Stand) -> None:
        self.fail(stand, 500)
        stand.endpoint.answer = lambda _: 410
        stand.writes("two")
        stand.work(seconds=400)
        stand.work(seconds=400)
        assert stand.states() == ["dead", "dead"]
        assert stand.subscription()["disabled_reason"] == "gone"
        assert not stand.subscription()["is_active"]
        count = len(stand.endpoint.told)
        stand.writes("three")
        stand.work()
        assert len(stand.endpoint.told) == count
        assert {row["attempts"][-1]["error"] for row in stand.rows()} <= {
            "http_status",
            "subscription_disabled",
        }

    def test_whoever_is_away_costs_one_request_per_rest(self, stand: Stand) -> None:
        stand.subscribe("message")
        stand.endpoint.answer = lambda _: 500
        stand.writes(*"abcdefghij")
        stand.work()
        assert len(stand.endpoint.told) == 1
        stand.work(seconds=1.5)
        assert len(stand.endpoint.told) == 2
        stand.work(seconds=1)  # the second rest is twice as long
        assert len(stand.endpoint.told) == 2
        stand.endpoint.answer = lambda _: 200
        for _ in range(3):
            stand.work(minutes=6)
        assert stand.states() == ["delivered"] * 10
        assert len(stand.endpoint.told) == 12

    def test_a_slow_one_is_cut_off(self, stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(notify, "ATTEMPT_S", 0.2)
        done = threading.Event()
        stand.subscribe("message")
        stand.endpoint.answer = lambda _: 200 if done.wait(30) else 500
        stand.writes("hello")
        stand.work()
        done.set()
        (delivery,) = stand.rows()
        (attempt,) = delivery["attempts"]
        assert (attempt["status"], attempt["error"]) == (None, "timeout")
        assert delivery["state"] == "pending"

    def test_a_secret_that_cannot_be_opened_is_an_attempt(self, stand: Stand) -> None:
        stand.subscribe("message")
        stand.writes("hello")
        stand.wax.is_away = True
        stand.work()
        assert stand.rows()[0]["attempts"][0]["error"] == "secret_unreadable"
        stand.wax.is_away = False
        stand.work(seconds=10)
        assert stand.states() == ["delivered"]

    @pytest.mark.parametrize("url", ["http://127.0.0.1:{}/", "https://127.0.0.1:{}/"])
    def test_a_private_address_gets_no_byte(self, stand: Stand, url: str) -> None:
        """Also one that was public when it was handed in."""
        address = url.format(stand.endpoint.server_port)
        stand.subscribe("message", url="https://93.184.215.14/")
        stand.place.everything.execute(
            "update messaging.event_subscriptions set url = %s", (address,)
        )
        stand.tools.__dict__["outside"] = Outside()
        stand.writes("hello")
        stand.work()
        assert stand.endpoint.told == []
        assert stand.rows()[0]["attempts"][0]["error"] == "address_refused"


class TestCrashes:
    def test_a_worker_that_dies_after_the_request_makes_another(self, stand: Stand) -> None:
        stand.subscribe("message")
        stand.writes("hello")
        (job,) = stand.jobs()
        args = Notify.model_validate(job["args"])
        context = Context(
            stand.tick(stand.tools), stand.place.tenant_id, job["id"], 1, time.monotonic() + 60
        )
        late = notify.run(context, args)  # asked, and nothing written
        assert stand.states() == ["pending"]
        stand.work()
        first, second = stand.endpoint.told
        assert first.id == second.id
        assert stand.states() == ["delivered"]
        # It wakes up and wants to write what it knows: the state stays, no attempt is added.
        with stand.tools.db.transaction(stand.place.tenant_id) as connection:
            for write in late.writes:
                write(connection)
        assert len(stand.rows()[0]["attempts"]) == 1
        assert len(stand.jobs()) == 1

    def test_a_write_that_fails_leaves_the_delivery_due(
        self, stand: Stand, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stand.subscribe("message")
        stand.writes("hello")
        tries: list[int] = []
        record = subscriptions.record_attempt

        def fail_once(*args: Any, **how: Any) -> str | None:
            tries.append(1)
            state = record(*args, **how)
            if len(tries) == 1:
                raise RuntimeError
            return state

        monkeypatch.setattr(subscriptions, "record_attempt", fail_once)
        stand.work()
        assert stand.states() == ["pending"]
        assert stand.rows()[0]["attempts"] == []
        stand.work(hours=1)
        assert stand.states() == ["delivered"]
        assert len(stand.rows()[0]["attempts"]) == 1

    def test_two_workers_share_the_work(self, stand: Stand) -> None:
        stand.subscribe("message")
        stand.writes(*"abcdefghijklmnopqrstuvwxyz")
        others = [stand.worker() for _ in range(2)]
        stand.place.time.turn(seconds=1)
        for tools in others:
            stand.tick(tools)
        in_threads(2, lambda n: drain(others[n], time.monotonic() + 100.0))
        assert stand.states() == ["delivered"] * 26
        assert len(stand.endpoint.told) == len({told.id for told in stand.endpoint.told}) == 26

    def test_a_message_that_is_gone_is_told_to_nobody(self, stand: Stand) -> None:
        stand.subscribe("message")
        stand.writes("hello")
        stand.place.everything.execute("delete from messaging.whatsapp_messages")
        stand.work()
        assert stand.endpoint.told == []
        assert stand.rows()[0]["attempts"][0]["error"] == "event_gone"
        assert stand.states() == ["dead"]


class TestOperator:
    def test_a_test_event_goes_the_way_of_all(self, stand: Stand) -> None:
        made = stand.subscribe("status")
        wanted = str(made["row"]["id"])
        put = stand.admin("test", subscription=wanted)
        stand.work()
        (told,) = stand.endpoint.told
        assert (told.id, told.document["type"]) == (str(put["delivery"]), "test")
        assert told.fits(made["secret"]) == [True]
        (row,) = stand.admin("deliveries", subscription=wanted)["rows"]
        assert (row["state"], row["attempts"][0]["status"]) == ("delivered", 204)
        assert stand.admin("deliveries", subscription=wanted, state="dead")["rows"] == []

    def test_after_a_rotation_both_secrets_sign_for_a_day(self, stand: Stand) -> None:
        made = stand.subscribe("message")
        old, wanted = made["secret"], str(made["row"]["id"])
        new = stand.admin("rotate", subscription=wanted)["secret"]
        assert new != old
        stand.writes("hello")
        stand.work()
        assert stand.endpoint.told[0].fits(new) == [True, False]
        assert stand.endpoint.told[0].fits(old) == [False, True]
        stand.place.time.turn(hours=24)
        stand.writes("hello")
        stand.work()
        assert stand.endpoint.told[1].fits(new) == [True]

    def test_switched_off_it_is_told_nothing_and_on_again_of_what_is_new(
        self, stand: Stand
    ) -> None:
        wanted = str(stand.subscribe("message")["row"]["id"])
        stand.writes("one")
        row = stand.admin("disable", subscription=wanted)
        assert (row["is_active"], row["disabled_reason"]) == (False, "operator")
        with pytest.raises(Conflict):
            stand.admin("test", subscription=wanted)
        stand.work()
        assert stand.endpoint.told == []
        assert stand.admin("enable", subscription=wanted)["disabled_reason"] is None
        stand.writes("two")
        stand.work()
        assert [one.document["data"]["content"]["body"] for one in stand.endpoint.told] == ["two"]
        (row,) = stand.admin("list")["rows"]
        assert (row["pending"], row["dead"]) == (0, 1)

    def test_secrets_are_sealed_and_never_listed(self, stand: Stand) -> None:
        made = stand.subscribe("message")
        assert len(base64.b64decode(made["secret"].removeprefix("whsec_"))) == 32
        assert "secret" not in json.dumps(stand.admin("list")["rows"][0]).replace(
            "secret_previous_until", ""
        )
        sealed = bytes(stand.subscription()["secret_sealed"]).decode()
        assert sealed.startswith(f"{stand.place.tenant_id}/subscription_secret/whsec_")

    @pytest.mark.parametrize(
        "url", ["http://93.184.215.14/", "https://10.0.0.1/", "ftp://x", "https://a:b@x.example/"]
    )
    def test_an_address_that_nobody_would_ask_is_refused(self, stand: Stand, url: str) -> None:
        with pytest.raises(Unprocessable) as refused:
            stand.subscribe("message", url=url)
        assert refused.value.field == "url"

    def test_what_is_unknown_or_another_tenants_is_not_found(self, stand: Stand) -> None:
        wanted = str(stand.subscribe("message")["row"]["id"])
        with pytest.raises(NotFound):
            stand.admin("disable", subscription=str(uuid4()))
        stand.place = stand.world.place()
        with pytest.raises(NotFound):
            stand.admin("disable", subscription=wanted)


def test_the_tenant_of_a_job_sees_its_own_deliveries_only(stand: Stand) -> None:
    stand.subscribe("message")
    stand.writes("hello")
    (job,) = stand.jobs()
    stranger = Context(stand.tick(stand.tools), uuid4(), job["id"], 1, time.monotonic() + 60)
    effects = notify.run(stranger, Notify.model_validate(job["args"]))
    assert (effects.writes, effects.result) == ((), {"state": "finished_before"})
    assert stand.endpoint.told == []


def test_the_wait_ends_with_the_schedule(stand: Stand) -> None:
    waits = stand.place.everything.execute(
        "select messaging.notify_again_after(n) from generate_series(1, 12) as n order by n"
    ).fetchall()
    assert [wait is None for (wait,) in waits] == [False] * 11 + [True]
