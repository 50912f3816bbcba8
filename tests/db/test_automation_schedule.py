"""schedule: planned instants, each once, whatever happens to clocks and evaluators."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from switchboard.automation.triggers.schedule import Schedule, following
from switchboard.kernel.errors import Unprocessable
from tests.automating import START, Automations
from tests.databases import ClonedDatabase


@pytest.fixture
def at(database: ClonedDatabase) -> Iterator[Automations]:
    automations = Automations(database)
    yield automations
    automations.close()


def instants(config: dict[str, Any], after: str, count: int) -> list[str]:
    """Return the first `count` instants after a time, each asked for by the one before."""
    schedule = Schedule.model_validate(config)
    found, last = [], datetime.fromisoformat(after).replace(tzinfo=UTC)
    for _ in range(count):
        instant = following(schedule, last)
        if instant is None:
            break
        found.append(f"{instant:%m-%dT%H:%M}")
        last = instant
    return found


BERLIN = {"timezone": "Europe/Berlin"}


class TestInstants:
    """What a configuration plans."""

    def test_cron_is_local_to_its_zone(self) -> None:
        config = {"cron": "30 9 * * MON", "timezone": "Asia/Tokyo"}
        assert instants(config, "2031-03-03T01:00", 2) == ["03-10T00:30", "03-17T00:30"]

    def test_a_skipped_hour_is_made_up_for_right_after_it(self) -> None:
        config = {"cron": "30 2 * * *", **BERLIN}
        assert instants(config, "2031-03-28T12:00", 3) == [
            "03-29T01:30",
            "03-30T01:00",  # 03:00 in Berlin, the first moment after the gap
            "03-31T00:30",
        ]

    def test_a_doubled_hour_counts_once(self) -> None:
        config = {"cron": "30 2 * * *", **BERLIN}
        assert instants(config, "2031-10-25T12:00", 2) == ["10-26T00:30", "10-27T01:30"]
        # Also of a rule that is made, and tried, in the second of the two hours.
        assert instants(config, "2031-10-26T01:10", 1) == ["10-27T01:30"]

    def test_every_half_hour_goes_by_elapsed_time(self) -> None:
        config = {"cron": "*/30 * * * *", **BERLIN}
        spring = instants(config, "2031-03-30T00:00", 4)
        autumn = instants(config, "2031-10-26T00:00", 4)
        assert spring == ["03-30T00:30", "03-30T01:00", "03-30T01:30", "03-30T02:00"]
        assert autumn == ["10-26T00:30", "10-26T01:00", "10-26T01:30", "10-26T02:00"]

    def test_an_interval_keeps_its_grid(self) -> None:
        config = {"every_minutes": 90, "starting_at": "2031-03-03T12:10:00+02:00"}
        assert instants(config, "2031-03-01T00:00", 2) == ["03-03T10:10", "03-03T11:40"]
        assert instants(config, "2031-03-03T10:10", 1) == ["03-03T11:40"]
        assert instants(config, "2031-03-03T10:09", 1) == ["03-03T10:10"]

    def test_one_date_comes_once(self) -> None:
        config = {"at": "2031-03-03T12:10:00+02:00"}
        assert instants(config, "2031-03-01T00:00", 5) == ["03-03T10:10"]


class TestRuns:
    """Each instant is one occurrence, and the next one is planned with it."""

    def test_each_instant_runs_once_and_plans_the_next(self, at: Automations) -> None:
        contact = str(at.person().contact_id)
        rule = at.rule("schedule", {"cron": "0 * * * *"}, contact_id=contact)
        assert at.due() == [(rule.id, "2031-03-03T13:00:00Z", START + timedelta(hours=1))]
        for _ in range(3):
            at.turn(minutes=60, seconds=5)
            at.tick()
            at.tick()
        assert [occurrence for occurrence, status, _ in at.runs() if status == "done"] == [
            "2031-03-03T13:00:00Z",
            "2031-03-03T14:00:00Z",
            "2031-03-03T15:00:00Z",
        ]
        assert [occurrence for _, occurrence, _ in at.due()] == ["2031-03-03T16:00:00Z"]

    def test_an_outage_loses_what_is_too_late_and_nothing_else(self, at: Automations) -> None:
        contact = str(at.person().contact_id)
        at.rule("schedule", {"cron": "0 * * * *"}, contact_id=contact, grace_s=7200)
        at.turn(hours=10, minutes=30)  # 22:30: 21:00 and 22:00 are within two hours
        at.tick()
        assert at.runs() == [
            ("2031-03-03T13:00:00Z", "skipped", "late"),
            ("2031-03-03T21:00:00Z", "done", None),
            ("2031-03-03T22:00:00Z", "done", None),
        ]

    def test_a_date_that_is_over_plans_nothing_more(self, at: Automations) -> None:
        contact = str(at.person().contact_id)
        at.rule("schedule", {"at": "2031-03-03T12:30:00Z"}, contact_id=contact)
        at.turn(hours=1)
        at.tick()
        assert at.runs() == [("2031-03-03T12:30:00Z", "done", None)]
        assert at.due() == []

    def test_another_cron_rule_takes_the_place_of_the_old_one(self, at: Automations) -> None:
        rule = at.rule("schedule", {"cron": "0 * * * *"})
        at.change(rule, name="no other instant")
        at.change(rule, trigger_config={"cron": "30 * * * *"})
        assert [occurrence for _, occurrence, _ in at.due()] == ["2031-03-03T12:30:00Z"]
        at.change(rule, is_active=False)
        assert at.due() == []
        at.turn(hours=5)
        at.change(rule, is_active=True)
        assert [occurrence for _, occurrence, _ in at.due()] == ["2031-03-03T17:30:00Z"]
        at.change(rule, trigger_type="trip_start", trigger_config={"days_before": 1})
        assert at.due() == []

    def test_a_merge_of_its_person_leaves_it_planned(self, at: Automations) -> None:
        older, younger = at.person(), at.person()
        rule = at.rule("schedule", {"cron": "0 * * * *"}, contact_id=str(younger.contact_id))
        with at.tools().db.transaction(at.place.tenant_id) as connection:
            connection.execute(
                "select messaging.merge_contacts(%s, %s, 'late_pairing', null, %s)",
                (at.place.tenant_id, [older.contact_id, younger.contact_id], at.now),
            )
        assert [subject for subject, _, _ in at.due()] == [rule.id]

    def test_nobody_to_tell_is_said(self, at: Automations) -> None:
        at.rule("schedule", {"cron": "0 * * * *"})
        at.turn(hours=1)
        at.tick()
        assert at.runs() == [("2031-03-03T13:00:00Z", "skipped", "no_contact")]


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({}, "trigger_config"),
        ({"cron": "0 * * * *", "every_minutes": 5}, "trigger_config"),
        ({"cron": "0 * * *"}, "trigger_config.cron"),
        ({"cron": "0 0 * * * *"}, "trigger_config.cron"),
        ({"cron": "61 * * * *"}, "trigger_config.cron"),
        ({"cron": "0 0 30 2 *"}, "trigger_config.cron"),
        ({"cron": "0 * * * *", "timezone": "Mars/Base"}, "trigger_config.timezone"),
        ({"cron": "0 * * * *", "timezone": "../etc"}, "trigger_config.timezone"),
        ({"every_minutes": 0}, "trigger_config.every_minutes"),
        ({"at": "2031-03-03T12:30:00"}, "trigger_config.at"),
        ({"at": "9999-12-31T23:00:00-02:00"}, "trigger_config.at"),
        (
            {"every_minutes": 5, "starting_at": "0001-01-01T00:00:00+02:00"},
            "trigger_config.starting_at",
        ),
        ({"at": "2031-03-03T11:30:00Z"}, "trigger_config"),  # over
    ],
)
def test_a_rule_that_cannot_be_meant_names_its_member(
    at: Automations, config: dict[str, Any], field: str
) -> None:
    with pytest.raises(Unprocessable) as refused:
        at.rule("schedule", config)
    assert refused.value.field == field
    assert at.place.rows("automation_rules") == []
