"""run_ai_agent: what an agent is asked, what of its answer is said, and how it fails."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from switchboard.automation import agent_http, agent_runs, endpoints
from switchboard.automation.endpoints import NewAgentEndpoint
from switchboard.kernel.errors import Conflict, Unprocessable
from switchboard.kernel.outside import Outside
from switchboard.kernel.signing import sign
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
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

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


@pytest.fixture
def scene(database: ClonedDatabase) -> Iterator[Scene]:
    made = Scene(database)
    yield made
    made.agent.close()
    made.at.close()


def test_the_agent_is_asked_with_the_facts_and_its_text_goes_out(scene: Scene) -> None:
    scene.agent.answers = [(200, {"text": "Welcome to Rome!", "mood": "good"})]
    person = scene.at.person()
    scene.say(person)
    ((headers, raw),) = scene.agent.asked
    run = scene.run()
    asked = json.loads(raw)
    contact, trip = asked["data"].pop("contact"), asked["data"].pop("trip")
    assert asked == {
        "type": "agent.run",
        "data": {
            "id": str(run["id"]),
            "tenant_id": str(scene.place.tenant_id),
            "rule_id": str(run["rule_id"]),
            "occurrence": run["occurrence"],
            "instruction": "Greet them.",
            "booking": None,
        },
    }
    assert (contact["id"], trip["destination"]) == (str(person.contact_id), "Rome")
    assert "tenant_id" not in contact
    assert headers["webhook-id"] == str(run["id"])
    stamp = int(headers["webhook-timestamp"])
    assert headers["webhook-signature"] == sign(scene.secret, str(run["id"]), stamp, raw)
    (body,) = scene.at.meta.bodies
    assert (body["type"], body["text"]) == ("text", {"body": "Welcome to Rome!"})
    (message,) = scene.place.rows("whatsapp_messages")
    assert (message["origin"], message["notification_category"]) == ("ai_agent", "ai_suggestions")
    assert (run["status"], run["result"], run["message_id"], run["contact_id"]) == (
        "done",
        {"said": "text"},
        message["id"],
        person.contact_id,
    )


def test_a_template_with_parameters_goes_out(scene: Scene) -> None:
    template = {"name": "hello", "language": "de", "parameters": {"who": "Ada"}}
    scene.agent.answers = [(200, {"template": template})]
    person = scene.place.person(window=None)
    scene.say(person, category="utility")
    assert scene.at.meta.bodies[0]["template"] == {
        "name": "hello",
        "language": {"code": "de"},
        "components": [
            {
                "type": "body",
                "parameters": [{"type": "text", "parameter_name": "who", "text": "Ada"}],
            }
        ],
    }


@pytest.mark.parametrize("nothing", [{}, b"", {"text": None}])
def test_an_agent_may_have_nothing_to_say(scene: Scene, nothing: Any) -> None:
    scene.agent.answers = [(200, nothing)]
    scene.say()
    assert scene.ended() == ("done", None)
    assert scene.run()["result"] == {"said": "nothing"}
    assert scene.at.meta.bodies == []


def test_a_text_needs_the_window_and_the_policy_is_asked(scene: Scene) -> None:
    scene.agent.answers = [(200, {"text": "Hello"})]
    scene.say(scene.place.person(window=None))
    status, reason = scene.ended()
    assert (status, str(reason).startswith("denied: ")) == ("skipped", True)
    assert scene.at.meta.bodies == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((400, {}), "agent: http_400"),
        ((401, {}), "agent: http_401"),
        ((302, {}), "agent: http_302"),
        ((200, b"hello"), "agent: unreadable_answer"),
        ((200, {"text": 7}), "agent: unreadable_answer"),
        ((200, {"text": "x" * 4097}), "agent: unreadable_answer"),
        ((200, {"text": "x", "template": {"name": "t"}}), "agent: unreadable_answer"),
        ((200, b" " * 70_000), "agent: too_long"),
    ],
)
def test_what_asking_again_cannot_mend_ends_the_run_at_once(
    scene: Scene, answer: tuple[int, Any], reason: str
) -> None:
    scene.agent.answers = [answer]
    scene.say()
    scene.at.turn(hours=1)
    scene.tools()
    scene.at.work()
    assert scene.ended() == ("failed", reason)
    assert len(scene.agent.asked) == 1


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_what_may_pass_is_asked_again_under_the_same_id(scene: Scene, status: int) -> None:
    scene.agent.answers = [(status, {}), (200, {"text": "Hello"})]
    scene.say()
    assert scene.ended() == ("started", None)
    scene.at.turn(hours=1)
    scene.at.work()
    assert scene.ended() == ("done", None)
    first, second = (headers["webhook-id"] for headers, _ in scene.agent.asked)
    assert first == second
    assert len(scene.at.meta.bodies) == 1


def test_an_agent_that_never_comes_back_fails_in_the_end(scene: Scene) -> None:
    scene.agent.answers = [(503, {})] * 9
    scene.say()
    for _ in range(8):
        scene.at.turn(hours=1)
        scene.at.work()
    assert scene.ended() == ("failed", "agent: http_503")
    assert len(scene.agent.asked) == 5


def test_an_agent_that_drips_is_cut_off(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_http, "ANSWER_S", 0.3)
    scene.agent.before = lambda: time.sleep(1.0)
    began = time.monotonic()
    scene.say()
    assert time.monotonic() - began < 5
    assert scene.ended() == ("started", None)
    (job,) = scene.place.rows("scheduled_jobs", job_type="ask_agent")
    assert job["error_message"] == "AgentFailed"


def test_an_address_inside_is_refused_when_it_is_made_and_when_it_is_asked(scene: Scene) -> None:
    tools = scene.tools()
    tools.__dict__["outside"] = Outside()
    with pytest.raises(Unprocessable, match="refused"):
        endpoints.create_endpoint(
            tools, scene.place.tenant_id, NewAgentEndpoint(name="inside", url=scene.agent.url)
        )
    scene.say()
    assert scene.ended() == ("failed", "agent: address_refused")
    assert scene.agent.asked == []


def test_killed_after_the_answer_it_is_asked_again_but_speaks_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    scene.agent.answers = [(200, {"text": "One"}), (200, {"text": "Two"})]
    with monkeypatch.context() as patch:
        patch.setattr(agent_runs, "conclude", killed)
        with pytest.raises(Killed):
            scene.say()
    scene.at.turn(minutes=10)
    scene.tools().db.drop()
    scene.at.work()
    scene.at.work()
    assert len(scene.agent.asked) == 2
    assert [body["text"]["body"] for body in scene.at.meta.bodies] == ["Two"]
    assert scene.ended() == ("done", None)


def test_no_transaction_is_open_while_an_agent_thinks(scene: Scene) -> None:
    open_: list[int] = []

    def look() -> None:
        (row,) = scene.place.everything.execute(
            "select count(*) from pg_stat_activity where datname = current_database()"
            " and state like 'idle in transaction%%'"
        )
        open_.append(row[0])

    scene.agent.before = look
    scene.say()
    assert open_ == [0]


def test_a_rule_that_was_switched_off_meanwhile_says_nothing(scene: Scene) -> None:
    scene.agent.answers = [(200, {"text": "Hello"})]

    def switch_off() -> None:
        scene.place.everything.execute("update messaging.automation_rules set is_active = false")

    scene.agent.before = switch_off
    scene.say()
    assert scene.ended() == ("skipped", "inactive")
    assert scene.at.meta.bodies == []


def test_two_runs_for_one_person_think_at_once_but_the_cap_holds(scene: Scene) -> None:
    scene.agent.answers = [(200, {"text": "One"}), (200, {"text": "Two"})]
    person = scene.at.person()
    scene.at.rule(
        "trip_start",
        NOW,
        action_type="run_ai_agent",
        action_config={"agent": "concierge", "instruction": "Greet."},
        cap_per_contact=1,
    )
    for _ in range(2):
        scene.at.trip(person, "2031-03-03")
    scene.at.tick()
    ended = sorted((status, reason) for _, status, reason in scene.at.runs())
    assert ended == [("done", None), ("skipped", "cap_per_contact")]
    assert len(scene.at.meta.bodies) == 1


def test_an_agent_that_is_not_there(scene: Scene) -> None:
    scene.say(agent="nobody")
    assert scene.ended() == ("failed", "the agent nobody is not known")


def test_a_new_secret_and_the_one_before_sign_for_a_day(scene: Scene) -> None:
    tools, tenant = scene.tools(), scene.place.tenant_id
    fresh = endpoints.rotate_secret(tools, tenant, scene.endpoint.id).secret
    scene.say()
    scene.at.turn(days=1, minutes=1)
    scene.tools()
    scene.at.trip(scene.at.person(), "2031-03-04")
    scene.at.tick()
    seen = []
    for headers, raw in scene.agent.asked:
        stamp = int(headers["webhook-timestamp"])
        signatures = headers["webhook-signature"].split(" ")
        seen.append(
            [
                sign(secret, headers["webhook-id"], stamp, raw) in signatures
                for secret in (scene.secret, fresh)
            ]
        )
    assert seen == [[True, True], [False, True]]


def test_names_are_unique_and_there_are_so_many_at_most(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools, tenant = scene.tools(), scene.place.tenant_id
    new = NewAgentEndpoint(name="concierge", url=scene.agent.url)
    with pytest.raises(Conflict, match="of this name"):
        endpoints.create_endpoint(tools, tenant, new)
    monkeypatch.setattr(endpoints, "MOST", 1)
    with pytest.raises(Conflict, match="no more"):
        endpoints.create_endpoint(tools, tenant, new.model_copy(update={"name": "other"}))
