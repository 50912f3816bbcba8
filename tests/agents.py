"""What the tests of run_ai_agent share: an agent behind HTTP, and a tenant that knows it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from switchboard.automation import endpoints
from switchboard.automation.endpoints import NewAgentEndpoint
from switchboard.tools import Tools
from tests.automating import Automations
from tests.databases import ClonedDatabase
from tests.sending import Person, PlainSealer

NOW = {"hours_before": 0, "at": "12:00"}


class Wax(PlainSealer):
    """Seals for agents, too."""

    def unseal(self, sealed: bytes, *, tenant_id: Any, purpose: str) -> str:
        if purpose != "agent_secret":
            return super().unseal(sealed, tenant_id=tenant_id, purpose=purpose)
        tenant, what, plain = bytes(sealed).decode().split("/", 2)
        assert (tenant, what) == (str(tenant_id), purpose)
        return plain


class AgentServer:
    """An agent behind a real HTTP server; answers what it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[tuple[int, Any]] = []
        self.before: Callable[[], None] = lambda: None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"]))
                outer.asked.append(({k.lower(): v for k, v in self.headers.items()}, raw))
                outer.before()
                status, document = outer.answers.pop(0) if outer.answers else (200, {})
                body = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(status)
                if status == 302:
                    self.send_header("location", outer.url)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/run"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Scene:
    """A tenant with an agent, and a person whose trip begins."""

    def __init__(self, database: ClonedDatabase) -> None:
        self.at = Automations(database)
        self.place = self.at.place
        self.agent = AgentServer()
        tools = self.at.tools()
        tools.sealer = Wax()  # type: ignore[assignment]
        made = endpoints.create_endpoint(
            tools, self.place.tenant_id, NewAgentEndpoint(name="concierge", url=self.agent.url)
        )
        self.secret, self.endpoint = made.secret, made.endpoint

    def tools(self) -> Tools:
        return self.at.tools()

    def say(self, person: Person | None = None, **action: Any) -> None:
        self.at.rule(
            "trip_start",
            NOW,
            action_type="run_ai_agent",
            action_config={"agent": "concierge", "instruction": "Greet them.", **action},
        )
        self.at.trip(person or self.at.person(), "2031-03-03", destination="Rome")
        self.at.tick()

    def run(self) -> dict[str, Any]:
        (run,) = self.place.rows("automation_runs")
        return run

    def ended(self) -> tuple[str, str | None]:
        return self.run()["status"], self.run()["reason"]

    def close(self) -> None:
        self.agent.close()
        self.at.close()
