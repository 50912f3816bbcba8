"""/v1/contacts/{id}/preferences: what a person is told of and why, replaced, changed, recorded."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import product
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest

from switchboard.inbox import preferences
from switchboard.kernel.clock import Clock
from switchboard.policy import CATEGORIES, Denied, Kind, decide
from switchboard.policy.facts import Person
from switchboard.store.preferences import Choices
from tests.managing import Desk, column
from tests.policy_facts import facts

PREFERENCES = "/v1/contacts/{id}/preferences"
GET, PUT, PATCH = (f"{method} {PREFERENCES}" for method in ("GET", "PUT", "PATCH"))
GERMAN = "4915550000001"
NIGHT = {
    "quiet_hours_enabled": True,
    "quiet_hours_start": "22:00",
    "quiet_hours_end": "07:00",
}


def person(desk: Desk, phone: str = GERMAN) -> str:
    return desk.contact_of(desk.hear(phone))


def agree(desk: Desk, contact_id: str, state: str = "given", *, days_ago: int = 0) -> None:
    """Record an opt-in, or its end, as a service does."""
    at = (datetime.now(UTC) - timedelta(days=days_ago)).isoformat()
    body = {"contact_id": contact_id, "state": state, "wording": "form", "occurred_at": at}
    desk.ok("POST /v1/consents", body=body)


def stop_at_meta(desk: Desk, phone: str = GERMAN) -> None:
    preference = {
        "wa_id": phone,
        "detail": "User requested to stop marketing messages",
        "category": "marketing_messages",
        "value": "stop",
        "timestamp": int(datetime.now(UTC).timestamp()),
    }
    desk.tell("user_preferences", {"user_preferences": [preference]})


def history(desk: Desk, contact_id: str) -> list[tuple[str, str, str]]:
    """Return the statements, the oldest first: scope, state, source."""
    rows = desk.pages("GET /v1/consents", contact_id=contact_id)[::-1]
    return [(row["scope"], row["state"], row["source"]) for row in rows]


# ------------------------------------------------------------------------------------------- shown


def test_who_decided_nothing_has_defaults_and_the_zone_of_their_number(desk: Desk) -> None:
    contact_id = person(desk)
    default = {"wanted": True, "source": "default", "chosen": None}
    assert desk.ok(GET, contact_id) == {
        "contact_id": contact_id,
        "categories": {
            **dict.fromkeys(CATEGORIES, default),
            "marketing": {"wanted": False, "source": "no_opt_in", "chosen": None},
        },
        "quiet_hours": {"enabled": False, "start": None, "end": None, "source": "default"},
        "timezone": {"name": "Europe/Berlin", "source": "number"},
        "updated_at": None,
        "merged_from": None,
    }
    assert desk.place.rows("notification_preferences") == []


def test_the_zone_is_the_persons_before_the_contacts_before_the_numbers(desk: Desk) -> None:
    contact_id = person(desk)

    def zone() -> tuple[str, str]:
        found = desk.ok(GET, contact_id)["timezone"]
        return found["name"], found["source"]

    desk.ok("PATCH /v1/contacts/{id}", contact_id, body={"timezone": "Asia/Tokyo"})
    assert zone() == ("Asia/Tokyo", "contact")
    desk.ok(PATCH, contact_id, body={"timezone": "America/Lima"})
    assert zone() == ("America/Lima", "person")
    # A zone that no database has (any more) is none: the gate goes by the number, and so do we.
    desk.world.everything.execute("update messaging.notification_preferences set timezone = 'X/Y'")
    assert zone() == ("Europe/Berlin", "number")


def test_a_number_without_a_country_goes_by_universal_time(desk: Desk) -> None:
    contact_id = person(desk, "99999999999")
    assert desk.ok(GET, contact_id)["timezone"] == {"name": "UTC", "source": "default"}


def test_each_reason_is_told(desk: Desk) -> None:
    contact_id = person(desk)

    def told(name: str = "marketing") -> tuple[bool, str]:
        found = desk.ok(GET, contact_id)["categories"][name]
        return found["wanted"], found["source"]

    assert told() == (False, "no_opt_in")
    agree(desk, contact_id, days_ago=2)
    assert told() == (True, "default")
    desk.ok(PATCH, contact_id, body={"marketing": True, "budget_alerts": True})
    assert told() == told("budget_alerts") == (True, "person")
    stop_at_meta(desk)
    assert told() == (False, "whatsapp")
    assert told("budget_alerts") == (True, "person")
    desk.ok(PATCH, contact_id, body={"marketing": False})
    assert told() == (False, "person")
    agree(desk, contact_id, "withdrawn", days_ago=1)
    assert told() == told("budget_alerts") == told("trip_reminders") == (False, "opt_out")


def test_what_is_shown_is_what_the_policy_decides(desk: Desk) -> None:
    """Every combination of what decides, held against the gates themselves."""
    contact_id = person(desk)
    states = ("pending", "opted_in", "opted_out")
    for opt_in, stopped, wish in product(states, (False, True), (None, True, False)):
        desk.set(
            "contacts",
            contact_id,
            opt_in_status=opt_in,
            marketing_stopped_at=datetime.now(UTC) if stopped else None,
        )
        desk.ok(PUT, contact_id, body=dict.fromkeys(CATEGORIES, wish))
        shown = desk.ok(GET, contact_id)["categories"]
        who = Person(
            opt_in=opt_in, marketing_stopped=stopped, wants=dict.fromkeys(CATEGORIES, wish)
        )
        for name in CATEGORIES:
            kind = Kind.MARKETING if name == "marketing" else Kind.UTILITY
            verdict = decide(facts(person=who, notification_category=name), kind)
            why = (opt_in, stopped, wish, name, verdict)
            assert shown[name]["wanted"] is not isinstance(verdict, Denied), why
            if isinstance(verdict, Denied):
                reasons = {
                    "opted_out": "opt_out",
                    "preference": "person",
                    "marketing_stopped": "whatsapp",
                    "not_opted_in": "no_opt_in",
                }
                sources = {
                    reasons[found] for found in verdict.findings.values() if found in reasons
                }
                assert shown[name]["source"] in sources, why


def test_the_columns_of_choices_are_the_categories_of_the_policy() -> None:
    assert tuple(Choices.__dataclass_fields__)[: len(CATEGORIES)] == CATEGORIES


# ----------------------------------------------------------------------------------------- changed


def test_put_replaces_all_and_patch_what_it_names(desk: Desk) -> None:
    contact_id = person(desk)
    whole = {"trip_reminders": False, "ai_suggestions": True, "timezone": "Asia/Tokyo", **NIGHT}
    shown = desk.ok(PUT, contact_id, body=whole)
    assert shown == desk.ok(GET, contact_id)
    assert {name: one["chosen"] for name, one in shown["categories"].items()} == {
        **dict.fromkeys(CATEGORIES),
        "trip_reminders": False,
        "ai_suggestions": True,
    }
    hours = {"enabled": True, "start": "22:00", "end": "07:00", "source": "person"}
    assert shown["quiet_hours"] == hours
    assert shown["timezone"] == {"name": "Asia/Tokyo", "source": "person"}
    assert shown["updated_at"] is not None

    shown = desk.ok(PATCH, contact_id, body={"trip_reminders": None, "quiet_hours_end": "06:30"})
    assert shown["categories"]["trip_reminders"]["source"] == "default"
    assert shown["categories"]["ai_suggestions"]["source"] == "person"
    assert shown["quiet_hours"] == {**hours, "end": "06:30"}

    shown = desk.ok(PUT, contact_id, body={"budget_alerts": False})
    assert shown["quiet_hours"]["source"] == "default"
    assert shown["timezone"]["source"] == "number"
    assert column(list(shown["categories"].values()), "chosen").count(None) == 6


def test_nothing_changed_is_nothing_decided(desk: Desk) -> None:
    contact_id = person(desk)
    before = desk.ok(PUT, contact_id, body=NIGHT)
    after = desk.ok(PATCH, contact_id, body={})
    assert {**after, "updated_at": 0} == {**before, "updated_at": 0}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**NIGHT, "quiet_hours_end": "22:00"}, "quiet_hours_end"),
        ({"quiet_hours_start": "09:00", "quiet_hours_end": "09:00"}, "quiet_hours_end"),
        ({"quiet_hours_enabled": True}, "quiet_hours_start"),
        ({"quiet_hours_enabled": True, "quiet_hours_start": "22:00"}, "quiet_hours_end"),
        ({**NIGHT, "quiet_hours_start": "24:00"}, "quiet_hours_start"),
        ({**NIGHT, "quiet_hours_start": "22"}, "quiet_hours_start"),
        ({**NIGHT, "quiet_hours_end": "7:00"}, "quiet_hours_end"),
        ({**NIGHT, "quiet_hours_end": "07:00Z"}, "quiet_hours_end"),
        ({**NIGHT, "quiet_hours_end": 7}, "quiet_hours_end"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../etc/passwd"}, "timezone"),
        ({"timezone": "Europe"}, "timezone"),
        ({"timezone": "x" * 65}, "timezone"),
        ({"marketing": "perhaps"}, "marketing"),
        ({"news": True}, "news"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(desk: Desk, body: Any, field: str) -> None:
    contact_id = person(desk)
    for route in (PUT, PATCH):
        status, problem = desk.call(route, contact_id, body=body)
        assert (status, problem["field"]) == (422, field), problem
    assert desk.place.rows("notification_preferences") == []


def test_a_change_is_checked_with_what_was_decided_before(desk: Desk) -> None:
    contact_id = person(desk)
    desk.ok(PUT, contact_id, body=NIGHT)
    status, problem = desk.call(PATCH, contact_id, body={"quiet_hours_start": "07:00"})
    assert (status, problem["field"]) == (422, "quiet_hours_end")
    status, problem = desk.call(PATCH, contact_id, body={"quiet_hours_start": None})
    assert (status, problem["field"]) == (422, "quiet_hours_start")
    shown = desk.ok(PATCH, contact_id, body={"quiet_hours_enabled": False})
    assert (shown["quiet_hours"]["enabled"], shown["quiet_hours"]["start"]) == (False, "22:00")


def test_changes_at_one_time_are_all_kept(desk: Desk) -> None:
    contact_id = UUID(person(desk))
    meet = Barrier(len(CATEGORIES))

    def refuse(name: str) -> None:
        tools = desk.world.tools(Clock())
        meet.wait(30)
        change = preferences.PreferencesChange.model_validate({name: False})
        preferences.change_preferences(tools, desk.place.tenant_id, contact_id, change)

    for _ in range(3):
        desk.ok(PUT, contact_id, body={})
        with ThreadPoolExecutor(len(CATEGORIES)) as pool:
            list(pool.map(refuse, CATEGORIES))
        shown = desk.ok(GET, contact_id)["categories"]
        assert {name for name, one in shown.items() if one["chosen"] is False} == {*CATEGORIES}


# ------------------------------------------------------------------------------- marketing's record


def test_marketing_switched_on_and_off_is_kept_among_the_consents(desk: Desk) -> None:
    contact_id = person(desk)
    for body in (
        {"trip_reminders": False},
        {"marketing": False},
        {"marketing": False, "budget_alerts": True},
        {"marketing": True},
        {"marketing": None},
    ):
        desk.ok(PATCH, contact_id, body=body)
    off, on = ("marketing", "withdrawn", "api"), ("marketing", "given", "api")
    assert history(desk, contact_id) == [off, on]
    desk.ok(PUT, contact_id, body={"marketing": False})
    desk.ok(PUT, contact_id, body={})
    assert history(desk, contact_id) == [off, on, off]


def test_a_preference_is_neither_an_opt_in_nor_metas_word(desk: Desk) -> None:
    """Who wants marketing again here has not told WhatsApp so, nor agreed to be written to."""
    contact_id = person(desk)
    stop_at_meta(desk)
    desk.ok(PATCH, contact_id, body={"marketing": False})
    desk.ok(PATCH, contact_id, body={"marketing": True})
    (row,) = desk.place.rows("contacts")
    assert row["opt_in_status"] == "pending"
    assert row["marketing_stopped_at"] is not None
    assert row["marketing_resumed_at"] is None
    # And another statement, which brings the states up to the history, changes nothing of that.
    agree(desk, contact_id)
    assert desk.ok(GET, contact_id)["categories"]["marketing"]["source"] == "whatsapp"


# ------------------------------------------------------------------------------------- who is asked


def test_an_unknown_a_deleted_and_another_tenants_contact_are_not_known(desk: Desk) -> None:
    contact_id = person(desk)
    other = desk.world.place()
    stranger = other.person().contact_id
    for route in (GET, PUT, PATCH):
        body = None if route == GET else {"marketing": False}
        for unknown in (uuid4(), stranger):
            assert desk.call(route, unknown, body=body)[0] == 404
    desk.set("contacts", contact_id, deleted_at=datetime.now(UTC))
    for route in (GET, PUT, PATCH):
        assert desk.call(route, contact_id, body=None if route == GET else {})[0] == 404
    assert desk.place.rows("notification_preferences") == []
    assert other.rows("notification_preferences") == []


def merge(desk: Desk, *contact_ids: str) -> str:
    row = desk.world.everything.execute(
        "select messaging.merge_contacts(%s, %s::uuid[], 'late_pairing', null, now())",
        (desk.place.tenant_id, list(contact_ids)),
    ).fetchone()
    assert row is not None
    return str(row[0])


def test_a_merged_contact_answers_with_the_roots_and_no_refusal_is_lost(desk: Desk) -> None:
    one, other = person(desk), person(desk, "4915550000002")
    desk.ok(PUT, one, body={"marketing": False, "trip_reminders": False, **NIGHT})
    # Written later, about something else; of the same thing the later word holds.
    desk.ok(PUT, other, body={"trip_reminders": True, "timezone": "Asia/Tokyo"})
    root = merge(desk, one, other)
    (loser,) = {one, other} - {root}
    shown = desk.ok(GET, loser)
    assert (shown["contact_id"], shown["merged_from"]) == (root, loser)
    assert shown["categories"]["marketing"] == {
        "wanted": False,
        "source": "person",
        "chosen": False,
    }
    assert shown["categories"]["trip_reminders"]["chosen"] is True
    assert shown["quiet_hours"]["start"] == "22:00"
    assert shown["timezone"]["name"] == "Asia/Tokyo"
    desk.ok(PATCH, loser, body={"marketing": True})
    assert desk.ok(GET, root)["categories"]["marketing"]["chosen"] is True
    (row,) = desk.place.rows("notification_preferences")
    assert str(row["contact_id"]) == root
