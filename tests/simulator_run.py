"""The simulator and a webhook receiver, both really listening, for tests."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from local.simulator.app import create_app
from local.simulator.config import BusinessNumber, Config

Json = dict[str, Any]

SECRET = "an app secret"
VERIFY_TOKEN = "a verify token"
FIRST = BusinessNumber(
    waba_id="210000000000001",
    phone_number_id="310000000000001",
    display_phone_number="15550001111",
    verified_name="Casa Verde",
    access_token="token-1",
    tenant="Casa Verde",
)
SECOND = FIRST.model_copy(
    update={"phone_number_id": "310000000000002", "display_phone_number": "15550001112"}
)
THIRD = BusinessNumber(
    waba_id="210000000000003",
    phone_number_id="310000000000003",
    display_phone_number="15550003333",
    verified_name="Northwind",
    access_token="token-3",
    tenant="Northwind",
)
PATIENCE = 10.0


@contextmanager
def serve(app: Starlette) -> Iterator[str]:
    """The app under uvicorn in a thread, on a free port; gives its address."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="error", timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started or not thread.is_alive())
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        if hasattr(app.state, "stopping"):
            app.state.exchange.journal.close()
            app.state.stopping.set()
        server.should_exit = True
        thread.join(PATIENCE)


def wait_until(true: Callable[[], object], within: float = PATIENCE) -> None:
    """Poll until the condition holds; AssertionError when it does not in time."""
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@dataclass
class Received:
    """One webhook POST as it arrived."""

    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Json:
        """The body, parsed."""
        parsed: Json = json.loads(self.body)
        return parsed


@dataclass
class Backend:
    """A webhook receiver. `answers` are used up first, then 200."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    handshakes: list[dict[str, str]] = field(default_factory=list)
    refuse_handshakes: int = 0
    hold_seconds: float = 0.0

    def app(self) -> Starlette:
        """Its routes."""
        return Starlette(
            routes=[
                Route("/webhook", self._greet, methods=["GET"]),
                Route("/webhook", self._receive, methods=["POST"]),
            ]
        )

    async def _greet(self, request: Request) -> Response:
        self.handshakes.append(dict(request.query_params))
        if len(self.handshakes) <= self.refuse_handshakes:
            return PlainTextResponse("no", status_code=403)
        return PlainTextResponse(request.query_params["hub.challenge"])

    async def _receive(self, request: Request) -> Response:
        self.received.append(Received(dict(request.headers), await request.body()))
        status = self.answers.pop(0) if self.answers else 200
        await asyncio.sleep(self.hold_seconds)
        return PlainTextResponse("", status_code=status)

    def values(self) -> list[Json]:
        """Every change's value received so far."""
        documents = [received.document for received in list(self.received)]
        return [c["value"] for d in documents for e in d["entry"] for c in e["changes"]]

    def messages(self) -> list[Json]:
        """Every inbound message received so far, repeats included."""
        return [m for value in self.values() for m in value.get("messages", [])]

    def statuses(self, wamid: str | None = None) -> list[Json]:
        """Every status received so far, or one message's."""
        found = [s for value in self.values() for s in value.get("statuses", [])]
        return [s for s in found if wamid in (None, s["id"])]

    def words(self, wamid: str) -> list[str]:
        """One message's statuses in the order they came."""
        return [s["status"] for s in self.statuses(wamid)]


class Clock:
    """A clock that a test moves by hand; begins at the real time and stands still."""

    def __init__(self) -> None:
        self._began = time.time()
        self.ahead = 0.0

    def __call__(self) -> float:
        return self._began + self.ahead


@dataclass
class Simulator:
    """A running simulator as a test uses it."""

    url: str
    http: httpx.Client
    backend: Backend
    clock: Clock

    def start_afresh(self) -> None:
        """Forget everything on both sides, for the next test of a module.

        What is still on its way is taken first: a webhook of the test before, received after the
        lists were cleared, would be the next test's.
        """
        self.backend.answers.clear()
        self.backend.hold_seconds = 0.0
        wait_until(lambda: self.flush() == 0)
        self.http.post("/simulator/reset").raise_for_status()
        self.clock.ahead = 0.0
        self.backend.received.clear()

    def faults(self, **switches: object) -> None:
        """Set fault switches."""
        self.http.post("/simulator/faults", json=switches).raise_for_status()

    def send(
        self, to: str = "+525550001234", body: Json | None = None, **more: Any
    ) -> httpx.Response:
        """POST a message from the first number: a text unless `body` is given."""
        message = body or {"type": "text", "text": {"body": "hello"}}
        return self.http.post(
            f"/v23.0/{FIRST.phone_number_id}/messages",
            headers={"Authorization": f"Bearer {FIRST.access_token}"},
            json={"messaging_product": "whatsapp", "to": to, **message, **more},
        )

    def sent(self, to: str = "+525550001234", body: Json | None = None, **more: Any) -> str:
        """As `send`; the accepted message's id."""
        answer = self.send(to, body, **more)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["messages"][0]["id"])

    def uploaded(self, content: bytes = b"x", kind: str = "image/png") -> str:
        """Upload a file as the first number; its id."""
        answer = self.http.post(
            f"/v23.0/{FIRST.phone_number_id}/media",
            headers={"Authorization": f"Bearer {FIRST.access_token}"},
            data={"messaging_product": "whatsapp"},
            files={"file": ("a", content, kind)},
        )
        answer.raise_for_status()
        return str(answer.json()["id"])

    def upload_files_of(self, body: Json) -> None:
        """Put ids of uploaded files into a payload file's body, itself or in its headers."""
        for holder in _files_in(body[body["type"]]):
            holder["id"] = self.uploaded()

    def play(self, person: str, **gesture: Any) -> Json:
        """A person does something towards the first number."""
        document = {"phone_number_id": FIRST.phone_number_id, "type": "text"} | gesture
        answer = self.http.post(f"/simulator/phone/{person}/messages", json=document)
        assert answer.status_code == 201, answer.text
        shown: Json = answer.json()
        return shown

    def shown(self, person: str) -> list[Json]:
        """What the person's phone shows."""
        messages: list[Json] = self.http.get(f"/simulator/phone/{person}/messages").json()[
            "messages"
        ]
        return messages

    def flush(self) -> int:
        """Attempt every webhook now; how many are still refused."""
        answer = self.http.post("/simulator/webhooks/flush").json()
        assert answer["done"]
        return int(answer["pending"])


def _files_in(node: Any) -> Iterator[Json]:
    if isinstance(node, list):
        for part in node:
            yield from _files_in(part)
    elif isinstance(node, dict):
        # The payload files' own ids of media, not those of buttons and rows.
        if str(node.get("id", "")).startswith("7701"):
            yield node
        for part in node.values():
            yield from _files_in(part)


@contextmanager
def simulator(
    backend: Backend, local_dir: Path | None = None, **settings: Any
) -> Iterator[Simulator]:
    """A simulator that reports to that backend."""
    clock = Clock()
    config = Config(
        webhook_url=backend.url,
        app_secret=SECRET,
        verify_token=VERIFY_TOKEN,
        numbers=(FIRST, SECOND, THIRD),
        local_dir=local_dir,
        first_retry=settings.pop("first_retry", 0.05),
        **settings,
    )
    with (
        serve(create_app(config, clock)) as url,
        httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as http,
    ):
        yield Simulator(url, http, backend, clock)


@contextmanager
def backend() -> Iterator[Backend]:
    """A listening webhook receiver."""
    receiver = Backend()
    with serve(receiver.app()) as url:
        receiver.url = f"{url}/webhook"
        yield receiver
