"""run_ai_agent: what an agent is asked, and what of its answer is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from switchboard.automation import endpoints
from switchboard.automation.endpoints import NewAgentEndpoint
from switchboard.kernel.errors import Conflict, Unprocessable
from switchboard.kernel.outside import Outside
from switchboard.kernel.signing import sign
from tests.agents import NOW, Scene
from tests.databases import ClonedDatabase


@pytest.fixture
def scene(database: ClonedDatabase) -> Iterator[Scene]:
    with closing(Scene(database)) as made:
        yield made


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


@pytest.mark.parametrize("nothing", [{}, b"", {"text": None}, {"text": " \n"}])
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


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("automation_rules set is_active = false", "inactive"),
        ("trips set start_date = '2032-01-01', end_date = '2032-01-02'", "not so any more"),
        ("trips set destination = 'Oslo'", "conditions"),
    ],
)
def test_what_is_otherwise_by_the_time_of_the_answer_is_not_said(
    scene: Scene, change: str, reason: str
) -> None:
    scene.agent.answers = [(200, {"text": "Hello"})]

    def change_it() -> None:
        scene.place.everything.execute(f"update messaging.{change}")

    scene.agent.before = change_it
    person = scene.at.person()
    scene.at.rule(
        "trip_start",
        NOW,
        action_type="run_ai_agent",
        action_config={"agent": "concierge", "instruction": "Greet them."},
        conditions={"field": "trip.destination", "op": "eq", "value": "Rome"},
    )
    scene.at.trip(person, "2031-03-03", destination="Rome")
    scene.at.tick()
    assert len(scene.agent.asked) == 1
    assert scene.ended() == ("skipped", reason)
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
