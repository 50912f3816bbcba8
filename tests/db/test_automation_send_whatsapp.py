"""send_whatsapp: the message that Meta gets, made of facts, and what the policy says of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from switchboard.automation import perform
from switchboard.kernel.errors import Unprocessable
from tests.automating import Automations
from tests.databases import ClonedDatabase
from tests.sending import Person

NOW = {"hours_before": 0, "at": "12:00"}


@pytest.fixture
def at(database: ClonedDatabase) -> Iterator[Automations]:
    automations = Automations(database)
    yield automations
    automations.close()


def opted_in(at: Automations, *, name: str | None = "Ada", window: float | None = None) -> Person:
    person = at.place.person(window=window)
    at.place.everything.execute(
        "update messaging.contacts set opt_in_status = 'opted_in', opted_in_at = %s, name = %s"
        " where id = %s",
        (at.now, name, person.contact_id),
    )
    return person


def say(at: Automations, person: Person, action: dict[str, Any], **trip: Any) -> None:
    """Make a rule and a trip that starts now, and let it run."""
    at.rule("trip_start", NOW, action_config=action)
    at.trip(person, "2031-03-03", **trip)
    at.tick()


def test_a_template_with_facts_words_and_fallbacks(at: Automations) -> None:
    person = opted_in(at)
    say(
        at,
        person,
        {
            "template": "trip_reminder",
            "language": "en_US",
            "category": "utility",
            "header": "trip.destination",
            "parameters": [
                "contact.name",
                {"value": "trip.title", "fallback": "your trip"},
                {"text": "Bon voyage"},
                {"value": "trip.attributes.gate", "fallback": "the desk"},
                "trip.budget",
                "trip.spent_percent",
            ],
            "buttons": [{"index": 0, "value": "trip.external_id"}],
        },
        external_id="trip-7",
        destination="New\n York",
        attributes={"gate": "B 12"},
        budget_minor=123450,
        spent_minor=61725,
        currency="EUR",
    )
    (body,) = at.meta.bodies
    callback = body.pop("biz_opaque_callback_data")
    (message,) = at.place.rows("whatsapp_messages")
    assert callback == f"{message['id']}.1"
    words = ["Ada", "your trip", "Bon voyage", "B 12", "1234.50 EUR", "50"]
    assert body == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": f"+{person.phone}",
        "type": "template",
        "template": {
            "name": "trip_reminder",
            "language": {"code": "en_US"},
            "components": [
                {"type": "header", "parameters": [{"type": "text", "text": "New York"}]},
                {"type": "body", "parameters": [{"type": "text", "text": w} for w in words]},
                {
                    "type": "button",
                    "sub_type": "url",
                    "index": "0",
                    "parameters": [{"type": "text", "text": "trip-7"}],
                },
            ],
        },
    }
    (rule,) = at.place.rows("automation_rules")
    assert (message["origin"], message["origin_id"]) == ("automation", rule["id"])
    (run,) = at.place.rows("automation_runs")
    assert (run["message_id"], run["contact_id"]) == (message["id"], person.contact_id)


def test_named_parameters(at: Automations) -> None:
    say(
        at,
        opted_in(at),
        {"template": "t", "category": "utility", "parameters": {"who": "contact.name"}},
    )
    assert at.meta.bodies[0]["template"]["components"] == [
        {
            "type": "body",
            "parameters": [{"type": "text", "parameter_name": "who", "text": "Ada"}],
        }
    ]


def test_a_template_of_nothing_but_its_name(at: Automations) -> None:
    say(at, opted_in(at), {"template": "trip_reminder", "category": "utility"})
    assert at.meta.bodies[0]["template"] == {"name": "trip_reminder", "language": {"code": "en"}}


@pytest.mark.parametrize(("name", "said"), [("Ada", "Hello Ada!"), (None, "Hello you!")])
def test_a_text_inside_the_window(at: Automations, name: str | None, said: str) -> None:
    say(at, opted_in(at, name=name, window=24), {"text": "Hello {{ contact.name | you }}!"})
    assert at.meta.bodies[0]["text"] == {"body": said}


def test_a_text_outside_the_window_is_denied_and_said_so(at: Automations) -> None:
    say(at, opted_in(at), {"text": "Hello"})
    assert at.meta.bodies == []
    ((_, status, reason),) = at.runs()
    assert (status, (reason or "").split(":")[:2]) == ("skipped", ["denied", " window_closed"])
    (message,) = at.place.rows("whatsapp_messages")
    assert message["status"] == "denied"


@pytest.mark.parametrize(
    "action",
    [
        {"template": "t", "category": "utility", "parameters": ["trip.title"]},
        {"text": "To {{trip.title}}"},
    ],
)
def test_a_fact_that_is_missing_without_a_fallback_says_nothing(
    at: Automations, action: dict[str, Any]
) -> None:
    say(at, opted_in(at, window=24), action)
    assert at.runs() == [("2031-03-03", "skipped", "missing: trip.title")]
    assert at.place.rows("whatsapp_messages") == []


def test_somebody_else_may_be_told(at: Automations) -> None:
    guide = opted_in(at, window=24)
    say(at, at.person(), {"text": "Hello", "to": str(guide.contact_id)})
    assert at.meta.bodies[0]["to"] == f"+{guide.phone}"


def test_a_number_of_nobodys_fails_and_says_so(at: Automations) -> None:
    say(at, opted_in(at, window=24), {"text": "Hello", "from": "999"})
    ((_, status, reason),) = at.runs()
    assert status == "failed"
    assert reason


def test_a_message_that_meta_would_refuse_fails_and_says_so(at: Automations) -> None:
    buttons = [{"index": 0, "value": "trip.id"}] * 2
    say(at, opted_in(at), {"template": "t", "category": "utility", "buttons": buttons})
    reason = "message.template.components have one button's index twice"
    assert at.runs() == [("2031-03-03", "failed", reason)]
    assert at.place.rows("whatsapp_messages") == []


def test_what_is_too_old_by_then_is_not_sent_any_more(at: Automations) -> None:
    at.rule("trip_start", NOW, action_config={"text": "Hello", "expires_in_minutes": 30})
    at.trip(opted_in(at, window=24), "2031-03-03")
    at.evaluate()
    tools = at.tools()
    (run,) = at.place.rows("automation_runs")
    with tools.db.transaction(at.place.tenant_id) as connection:
        perform(tools, connection, at.place.tenant_id, run["id"], last_try=False)
    (attempt,) = at.place.rows("send_attempts")
    assert attempt["expires_at"] == at.now + timedelta(minutes=30)


@pytest.mark.parametrize(
    ("action", "field"),
    [
        ({}, "action_config"),
        ({"template": "t", "text": "x"}, "action_config"),
        ({"template": "No Name"}, "action_config.template"),
        ({"text": "{{contact.password}}"}, "action_config.text"),
        ({"text": "x", "parameters": ["contact.name"]}, "action_config"),
        ({"text": "x", "notification_category": "spam"}, "action_config.notification_category"),
        ({"text": "x", "urgent": True}, "action_config.urgent"),
        ({"text": "x", "to": "491555"}, "action_config.to"),
    ],
)
def test_an_action_that_cannot_be_meant_names_its_member(
    at: Automations, action: dict[str, Any], field: str
) -> None:
    with pytest.raises(Unprocessable) as refused:
        at.rule("trip_start", NOW, action_config=action)
    assert refused.value.field == field


def test_a_parameter_that_names_nothing_is_refused(at: Automations) -> None:
    with pytest.raises(Unprocessable) as refused:
        at.rule(
            "trip_start", NOW, action_config={"template": "t", "parameters": ["contact.password"]}
        )
    assert (refused.value.field or "").startswith("action_config.parameters")
