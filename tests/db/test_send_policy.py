"""What the database tells the policy when a message is asked for, and at each later attempt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from switchboard import outbox
from switchboard.outbox import Origin, Outgoing
from switchboard.outbox.answers import Answer
from switchboard.tools import Tools
from switchboard.whatsapp.errors import InvalidMessage
from tests.databases import ClonedDatabase
from tests.limited import CountingMeta, Simulated, quiet
from tests.sending import Person, Place, World

DEFINITION = [
    {
        "type": "BODY",
        "text": "Hello {{1}}, your table is ready.",
        "example": {"body_text": [["Ana"]]},
    }
]


class Scene:
    """A tenant, one person, and a process in simulated time."""

    def __init__(self, world: World) -> None:
        self.clock = Simulated()
        self.meta = CountingMeta(self.clock)
        self.place: Place = world.place()
        self.place.time.now = self.clock.now
        self.tools: Tools = world.tools(self.clock, transport=self.meta)  # type: ignore[arg-type]
        self.person: Person = self.place.person(window=None)
        self.change(self.person, opt_in_status="opted_in", opted_in_at=self.clock.now)

    def change(self, person: Person, **columns: Any) -> None:
        """Change the contact's row."""
        for name, value in columns.items():
            self.place.everything.execute(
                f"update messaging.contacts set {name} = %s where id = %s",
                (value, person.contact_id),
            )

    def prefer(self, **columns: Any) -> None:
        """Write down what the person wants."""
        names = ", ".join(columns)
        marks = ", ".join(["%s"] * len(columns))
        self.place.everything.execute(
            f"insert into messaging.notification_preferences (tenant_id, contact_id, {names})"
            f" values (%s, %s, {marks})",
            (self.place.tenant_id, self.person.contact_id, *columns.values()),
        )

    def store_template(
        self,
        status: str = "APPROVED",
        category: str = "UTILITY",
        at: int = 1,
        *,
        fresh: bool = True,
    ) -> None:
        """Store the template `n` as a sync does."""
        states = {
            "status": {"at": at, "v": {"status": status}},
            "category": {"at": at, "v": category},
        }
        self.place.everything.execute(
            "insert into messaging.whatsapp_templates (tenant_id, waba_id, name, language, states,"
            " components, components_fetched_at) values (%s, %s, 'n', 'en_US', %s, %s, %s)"
            " on conflict (tenant_id, waba_id, name, language) do update"
            " set states = excluded.states",
            (
                self.place.tenant_id,
                self.place.waba_id,
                json.dumps(states),
                json.dumps(DEFINITION),
                self.clock.now if fresh else None,
            ),
        )

    def template(self, category: str | None = "utility", **how: Any) -> Outgoing:
        """Return the template `n` to the person."""
        body = {"type": "body", "parameters": [{"type": "text", "text": "Ana"}]}
        content = {"name": "n", "language": {"code": "en_US"}, "components": [body]}
        return Outgoing(
            phone_number_id=self.place.phone_number_id,
            phone=self.person.phone,
            message={"type": "template", "template": content},
            category=category,
            **how,
        )

    def text(self, **how: Any) -> Outgoing:
        """Return a free-form message to the person."""
        return Outgoing(
            phone_number_id=self.place.phone_number_id,
            phone=self.person.phone,
            message={"type": "text", "text": {"body": "x"}},
            **how,
        )

    def send(self, item: Outgoing) -> Answer:
        return outbox.send(self.tools, self.place.tenant_id, item)

    def reason(self, item: Outgoing) -> str | None:
        """Return the reason of the verdict, asked beforehand for one and in a batch alike."""
        told = outbox.rehearse(self.tools, self.place.tenant_id, item).body["decision"]
        (many, _) = outbox.send_many(
            self.tools, self.place.tenant_id, [item, self.text(expires_at=self.clock.now)]
        )
        latest = many.body["decision"]
        assert (latest["verdict"], latest.get("reason")) == (told["verdict"], told.get("reason"))
        assert latest["gates"] == told["gates"]
        found: str | None = told.get("reason")
        return found

    def later(self, item: Outgoing) -> dict[str, Any]:
        """Put `item` into the outbox now, let a worker decide on it again, return its row."""
        with self.tools.db.transaction(self.place.tenant_id) as connection:
            (answer,) = outbox.queue(self.tools, connection, self.place.tenant_id, [item])
        assert answer.status == 202, answer.body
        self.waiting = answer.body["id"]
        return self.row()

    def run(self) -> dict[str, Any]:
        """Let a worker run; return the row of what was put in."""
        outbox.run_due(self.tools, self.clock.monotonic() + 60)
        return self.row()

    def row(self) -> dict[str, Any]:
        return self.place.message(self.waiting)


@pytest.fixture
def scene(database: ClonedDatabase) -> Iterator[Scene]:
    with closing(World(database)) as world, quiet():
        yield Scene(world)


# ------------------------------------------------------------------------------- each gate's facts


@pytest.mark.parametrize(
    ("columns", "marketing", "utility"),
    [
        ({}, None, None),
        ({"opt_in_status": "pending"}, "not_opted_in", None),
        ({"opt_in_status": "opted_out"}, "opted_out", "opted_out"),
        ({"marketing_stopped_at": "2031-01-01"}, "marketing_stopped", None),
        (
            {"marketing_stopped_at": "2031-01-01", "marketing_resumed_at": "2031-01-02"},
            None,
            None,
        ),
        (
            {"marketing_stopped_at": "2031-01-02", "marketing_resumed_at": "2031-01-02"},
            "marketing_stopped",
            None,
        ),
        ({"is_blocked": True}, "contact_blocked", "contact_blocked"),
    ],
)
def test_what_a_person_agreed_to_decides_on_templates(
    scene: Scene, columns: dict[str, Any], marketing: str | None, utility: str | None
) -> None:
    scene.change(scene.person, **columns)
    assert scene.reason(scene.template("marketing")) == marketing
    assert scene.reason(scene.template("utility")) == utility
    code = "contact_blocked" if "is_blocked" in columns else None
    assert scene.reason(scene.template("authentication")) == code
    assert scene.reason(scene.template("utility", urgent=True)) == code


def test_a_category_that_was_refused_is_not_sent(scene: Scene) -> None:
    scene.prefer(budget_alerts=False, marketing=False)
    alert = scene.template(notification_category="budget_alerts")
    assert scene.reason(alert) == "preference"
    assert scene.reason(scene.template(notification_category="trip_reminders")) is None
    assert scene.reason(scene.template("marketing")) == "preference"
    assert scene.reason(scene.template()) is None


def test_quiet_hours_defer_to_the_persons_morning_and_a_code_goes_at_once(scene: Scene) -> None:
    scene.prefer(
        quiet_hours_enabled=True,
        quiet_hours_start=(scene.clock.now - timedelta(hours=1)).time(),
        quiet_hours_end=(scene.clock.now + timedelta(hours=3)).time(),
        timezone="UTC",
    )
    answer = scene.send(scene.template())
    assert (answer.status, answer.body["decision"]["reason"]) == (202, "quiet_hours")
    assert scene.reason(scene.template("authentication")) is None
    (waiting,) = scene.place.rows("send_attempts", message_id=answer.body["id"])
    assert waiting["due_at"] == scene.clock.now + timedelta(hours=3)
    # Too late by then: denied at once.
    ends = scene.clock.now + timedelta(hours=2)
    assert scene.send(scene.template(expires_at=ends)).status == 422
    outbox.run_due(scene.tools, scene.clock.monotonic() + 60)
    assert scene.place.message(answer.body["id"])["status"] == "pending"
    scene.clock.turn(3 * 3600)
    outbox.run_due(scene.tools, scene.clock.monotonic() + 60)
    row = scene.place.message(answer.body["id"])
    assert row["status"] == "accepted"
    assert [entry["verdict"] for entry in row["decision"]] == ["deferred", "allowed"]


def test_after_stop_a_reply_waits_for_the_person(scene: Scene) -> None:
    at = scene.clock.now
    scene.change(scene.person, opt_in_status="opted_out", opted_out_at=at)

    def wrote(seconds: int) -> None:
        scene.place.everything.execute(
            "update messaging.whatsapp_conversations set last_inbound_at = %s,"
            " window_expires_at = %s where id = %s",
            (
                at + timedelta(seconds=seconds),
                at + timedelta(days=1),
                scene.person.conversation_id,
            ),
        )

    wrote(0)
    assert scene.reason(scene.text()) == "opted_out"
    assert scene.reason(scene.text(confirms_consent=True)) is None
    wrote(1)
    assert scene.reason(scene.text()) is None


# ------------------------------------------------------------------------------- templates


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("APPROVED", (200, None)),
        ("PAUSED", (202, "template_paused")),
        ("DISABLED", (422, "template_disabled")),
        ("REJECTED", (422, "template_rejected")),
    ],
)
def test_the_stored_templates_state_decides(
    scene: Scene, status: str, verdict: tuple[int, str | None]
) -> None:
    scene.store_template(status)
    answer = scene.send(scene.template())
    assert (answer.status, answer.body["decision"].get("reason")) == verdict


def test_the_stored_category_counts_and_not_the_callers(scene: Scene) -> None:
    scene.change(scene.person, opt_in_status="pending")
    scene.store_template(category="MARKETING")
    assert scene.reason(scene.template("utility")) == "not_opted_in"
    scene.store_template(category="UTILITY", at=2)
    assert scene.reason(scene.template("marketing")) is None
    answer = scene.send(scene.template(None))
    assert answer.status == 200
    row = scene.place.message(answer.body["id"])
    assert row["category"] == "UTILITY"
    assert row["decision"][0]["kind"] == "utility"


def test_an_unknown_template_of_no_category_is_marketing(scene: Scene) -> None:
    scene.change(scene.person, opt_in_status="pending")
    assert scene.reason(scene.template(None)) == "not_opted_in"


def test_stored_marketing_cannot_be_urgent(scene: Scene) -> None:
    scene.store_template(category="MARKETING")
    answer = scene.send(scene.template(None, urgent=True))
    assert (answer.status, answer.body["field"]) == (422, "urgent")


def test_parameters_are_held_against_the_stored_definition(scene: Scene) -> None:
    scene.store_template()
    item = scene.template()
    item.message["template"]["components"] = []
    answer = scene.send(item)
    assert answer.status == InvalidMessage.status == 422
    assert answer.body["field"].startswith("message.template")
    assert scene.place.rows("whatsapp_messages") == []
    assert scene.meta.taken == {}
    assert scene.send(scene.template()).status == 200
    (thread,) = scene.place.rows("whatsapp_conversations")
    assert thread["last_message_preview"] == "Hello Ana, your table is ready."


def test_a_definition_that_is_out_of_date_refuses_nothing(scene: Scene) -> None:
    scene.store_template(fresh=False)
    item = scene.template()
    item.message["template"]["components"] = []
    assert scene.send(item).status == 200


def test_another_tenants_template_is_nobodys(scene: Scene, database: ClonedDatabase) -> None:
    with closing(World(database)) as world:
        other = world.place()
        scene.store_template("DISABLED")
        scene.place.everything.execute(
            "update messaging.whatsapp_templates set tenant_id = %s, waba_id = %s",
            (other.tenant_id, other.waba_id),
        )
        assert scene.send(scene.template()).status == 200


# ------------------------------------------------------------------------------- a later attempt


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"opt_in_status": "opted_out"}, "opted_out"),
        ({"marketing_stopped_at": "2031-01-01"}, "marketing_stopped"),
        ({"opt_in_status": "pending"}, "not_opted_in"),
    ],
)
def test_who_withdraws_before_it_goes_out_gets_nothing(
    scene: Scene, columns: dict[str, Any], reason: str
) -> None:
    scene.later(scene.template("marketing", origin=Origin.CAMPAIGN))
    scene.change(scene.person, **columns)
    row = scene.run()
    assert (row["status"], row["error_code"]) == ("denied", reason)
    assert [entry["verdict"] for entry in row["decision"]] == ["allowed", "denied"]
    assert scene.meta.taken == {}


def test_a_template_that_turns_out_to_be_marketing_passes_its_gates(scene: Scene) -> None:
    scene.change(scene.person, opt_in_status="pending")
    scene.later(scene.template("utility"))
    scene.store_template(category="MARKETING")
    row = scene.run()
    assert (row["status"], row["error_code"]) == ("denied", "not_opted_in")


def test_what_turns_out_to_be_less_than_marketing_stays_what_it_was_taken_for(
    scene: Scene,
) -> None:
    scene.later(scene.template("marketing"))
    scene.store_template(category="AUTHENTICATION")
    scene.change(scene.person, opt_in_status="opted_out")
    assert scene.run()["status"] == "denied"


def test_a_template_that_is_paused_meanwhile_waits_until_it_is_approved(scene: Scene) -> None:
    scene.store_template()
    scene.later(scene.template())
    scene.store_template("PAUSED", at=2)
    assert scene.run()["status"] == "pending"
    scene.clock.turn(86_400)
    assert scene.run()["status"] == "pending"
    scene.store_template("APPROVED", at=3)
    # Released by the database's own clock.
    scene.clock.turn(1)
    assert scene.run()["status"] == "accepted"


def test_an_urgent_notice_is_urgent_at_every_attempt(scene: Scene) -> None:
    scene.later(scene.template(urgent=True))
    scene.change(scene.person, opt_in_status="opted_out")
    assert scene.run()["status"] == "accepted"


def test_the_cap_is_counted_once_and_not_asked_again(scene: Scene) -> None:
    scene.place.everything.execute(
        "update messaging.tenants set marketing_cap = 1 where id = %s", (scene.place.tenant_id,)
    )
    scene.later(scene.template("marketing"))
    assert scene.run()["status"] == "accepted"
    assert scene.reason(scene.template("marketing")) == "frequency_cap"


def test_the_confirmation_of_a_stop_is_let_through_at_a_later_attempt(scene: Scene) -> None:
    at = scene.clock.now
    scene.place.everything.execute(
        "update messaging.whatsapp_conversations set last_inbound_at = %s, window_expires_at = %s"
        " where id = %s",
        (at, at + timedelta(days=1), scene.person.conversation_id),
    )
    scene.change(scene.person, opt_in_status="opted_out", opted_out_at=at)
    (consent,) = scene.place.everything.execute(
        "insert into messaging.consents (tenant_id, contact_id, scope, state, source,"
        " statement_sha256, occurred_at) values (%s, %s, 'messages', 'withdrawn', 'keyword',"
        " sha256('x'), %s) returning id",
        (scene.place.tenant_id, scene.person.contact_id, at),
    ).fetchall()
    scene.later(scene.text(origin=Origin.AUTOMATION, origin_id=consent[0], confirms_consent=True))
    assert scene.run()["status"] == "accepted"
    scene.clock.turn(1)
    # Another automation's sentence is none.
    other = scene.text(origin=Origin.AUTOMATION, origin_id=scene.person.contact_id)
    assert scene.send(other).status == 422


def test_a_code_is_not_shown_in_the_thread(scene: Scene) -> None:
    scene.store_template(category="AUTHENTICATION")
    assert scene.send(scene.template()).status == 200
    (thread,) = scene.place.rows("whatsapp_conversations")
    assert "Ana" not in (thread["last_message_preview"] or "")


def test_only_who_may_be_urgent_says_that_an_unknown_template_is_a_code(scene: Scene) -> None:
    scene.change(scene.person, opt_in_status="opted_out")
    item = scene.template("authentication")
    sends = frozenset({"messages:send"})
    tenant = scene.place.tenant_id
    told = outbox.rehearse(scene.tools, tenant, item, scopes=sends)
    assert told.body["decision"]["reason"] == "opted_out"
    told = outbox.rehearse(scene.tools, tenant, item, scopes=sends | {"messages:urgent"})
    assert told.body["status"] == "allowed"
    scene.store_template(category="AUTHENTICATION")
    told = outbox.rehearse(scene.tools, tenant, item, scopes=sends)
    assert told.body["status"] == "allowed"
