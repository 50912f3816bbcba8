"""trip_start: planned by the trip's own write, due at its local time, once per date."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from switchboard.kernel.errors import Unprocessable
from tests.automating import START, Automations
from tests.databases import ClonedDatabase

DAY_BEFORE = {"days_before": 1}


@pytest.fixture
def at(database: ClonedDatabase) -> Iterator[Automations]:
    automations = Automations(database)
    yield automations
    automations.close()


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class TestWhen:
    """The instant, for each way to say it."""

    @pytest.mark.parametrize(
        ("config", "trip", "due"),
        [
            ({"days_before": 1}, {}, "2031-05-09T09:00"),
            ({"days_before": 0, "at": "07:30"}, {}, "2031-05-10T07:30"),
            ({"days_after": 2}, {"timezone": "Asia/Tokyo"}, "2031-05-12T00:00"),
            ({"days_before": 1}, {"timezone": "America/New_York"}, "2031-05-09T13:00"),
            ({"hours_before": 3}, {"start_time": "06:15"}, "2031-05-10T03:15"),
            ({"hours_after": 30}, {"start_time": "06:15"}, "2031-05-11T12:15"),
            # A trip without a time begins at the rule's.
            ({"hours_before": 3}, {"timezone": "Europe/Berlin"}, "2031-05-10T04:00"),
            ({"hours_before": 3, "at": "12:00"}, {}, "2031-05-10T09:00"),
            # The day counts, not the time, when days are counted.
            ({"days_before": 1}, {"start_time": "06:15"}, "2031-05-09T09:00"),
        ],
    )
    def test_it_is_local_to_the_trip(
        self, at: Automations, config: dict[str, Any], trip: dict[str, Any], due: str
    ) -> None:
        at.rule("trip_start", config)
        subject = at.trip(at.person(), "2031-05-10", **trip)
        assert at.due() == [(subject, "2031-05-10", utc(due))]

    @pytest.mark.parametrize(
        ("date", "clock", "due"),
        [
            # Berlin's clocks skip 02:00 to 03:00 on 30 March 2031: as much later.
            ("2031-03-30", "02:30", "2031-03-30T01:30"),
            ("2031-03-30", "01:59", "2031-03-30T00:59"),
            ("2031-03-30", "03:00", "2031-03-30T01:00"),
            # 02:00 to 03:00 comes twice on 26 October 2031: the second one.
            ("2031-10-26", "02:30", "2031-10-26T01:30"),
            ("2031-10-26", "01:59", "2031-10-25T23:59"),
            ("2031-10-26", "03:00", "2031-10-26T02:00"),
        ],
    )
    def test_skipped_and_doubled_hours(
        self, at: Automations, date: str, clock: str, due: str
    ) -> None:
        at.rule("trip_start", {"days_before": 0, "at": clock})
        subject = at.trip(at.person(), date, timezone="Europe/Berlin")
        assert at.due() == [(subject, date, utc(due))]

    def test_hours_are_elapsed_time_over_a_change_of_clocks(self, at: Automations) -> None:
        at.rule("trip_start", {"hours_before": 12})
        subject = at.trip(at.person(), "2031-03-30", start_time="08:00", timezone="Europe/Berlin")
        # 08:00 is 06:00 UTC; twelve hours before, Berlin's clock read 19:00.
        assert at.due() == [(subject, "2031-03-30", utc("2031-03-29T18:00"))]

    @pytest.mark.parametrize("zone", ["Nowhere/Nothing", "x"])
    def test_a_zone_that_nobody_knows_costs_the_plan_and_not_the_trip(
        self, at: Automations, zone: str
    ) -> None:
        at.rule("trip_start", DAY_BEFORE)
        at.trip(at.person(), "2031-05-10", timezone=zone)
        assert at.due() == []
        assert len(at.place.rows("trips")) == 1


class TestPlanned:
    """Whatever is written, trip or rule, the plan is what both say."""

    def test_trips_that_were_there_are_planned_with_the_rule(self, at: Automations) -> None:
        subject = at.trip(at.person(), "2031-05-10")
        assert at.due() == []
        at.rule("trip_start", DAY_BEFORE)
        assert at.due() == [(subject, "2031-05-10", utc("2031-05-09T09:00"))]

    def test_a_moved_trip_is_planned_anew_and_the_old_plan_goes(self, at: Automations) -> None:
        at.rule("trip_start", DAY_BEFORE)
        subject = at.trip(at.person(), "2031-05-10")
        at.put("trips", subject, start_date="2031-05-20")
        assert at.due() == [(subject, "2031-05-20", utc("2031-05-19T09:00"))]
        at.put("trips", subject, timezone="Asia/Tokyo")
        assert at.due() == [(subject, "2031-05-20", utc("2031-05-19T00:00"))]

    @pytest.mark.parametrize("change", [{"status": "cancelled"}, {"start_date": None}])
    def test_a_trip_that_does_not_start_is_due_for_nothing(
        self, at: Automations, change: dict[str, Any]
    ) -> None:
        at.rule("trip_start", DAY_BEFORE)
        subject = at.trip(at.person(), "2031-05-10")
        at.put("trips", subject, **change)
        assert at.due() == []

    def test_a_deleted_trip_takes_its_plan_along(self, at: Automations) -> None:
        at.rule("trip_start", DAY_BEFORE)
        subject = at.trip(at.person(), "2031-05-10")
        at.place.everything.execute("delete from messaging.trips where id = %s", (subject,))
        assert at.due() == []

    def test_a_rule_that_rests_is_due_for_nothing(self, at: Automations) -> None:
        rule = at.rule("trip_start", DAY_BEFORE, is_active=False)
        subject = at.trip(at.person(), "2031-05-10")
        assert at.due() == []
        at.change(rule, is_active=True)
        assert at.due() == [(subject, "2031-05-10", utc("2031-05-09T09:00"))]
        at.change(rule, is_active=False)
        assert at.due() == []

    def test_a_changed_rule_plans_anew(self, at: Automations) -> None:
        rule = at.rule("trip_start", DAY_BEFORE)
        subject = at.trip(at.person(), "2031-05-10", end_date="2031-05-12")
        at.change(rule, trigger_config={"days_before": 3})
        assert at.due() == [(subject, "2031-05-10", utc("2031-05-07T09:00"))]
        at.change(rule, trigger_type="trip_end")
        assert at.due() == [(subject, "2031-05-12", utc("2031-05-09T09:00"))]

    def test_a_rule_of_one_person_sees_that_persons_trips_alone(self, at: Automations) -> None:
        ada, bob = at.person(), at.person()
        before = at.trip(ada, "2031-05-10")
        at.trip(bob, "2031-05-11")
        at.rule("trip_start", DAY_BEFORE, contact_id=str(ada.contact_id))
        after = at.trip(ada, "2031-05-12")
        at.trip(bob, "2031-05-13")
        assert [subject for subject, _, _ in at.due()] == [before, after]

    def test_many_trips_in_one_statement_are_all_planned(self, at: Automations) -> None:
        at.rule("trip_start", DAY_BEFORE)
        at.rule("trip_start", {"hours_before": 1})
        person = at.person()
        at.place.everything.execute(
            "insert into messaging.trips (tenant_id, external_id, contact_id, start_date, as_of)"
            " select %s, n::text, %s, date '2032-01-01' + n, now()"
            " from generate_series(1, 300) as n",
            (at.place.tenant_id, person.contact_id),
        )
        assert len(at.due()) == 600

    @pytest.mark.parametrize(("days", "planned"), [(0, 1), (1, 0)])
    def test_what_is_too_late_already_is_not_planned(
        self, at: Automations, days: int, planned: int
    ) -> None:
        """Within the grace of a day it is: a trip booked today for tomorrow is told of."""
        at.rule("trip_start", DAY_BEFORE)
        at.trip(at.person(), (START.date() + timedelta(days=1 - days)).isoformat())
        assert len(at.due()) == planned


class TestRuns:
    """Once for each date."""

    def test_it_runs_when_it_is_due_and_not_before(self, at: Automations) -> None:
        at.rule("trip_start", DAY_BEFORE)
        at.trip(at.person(), "2031-03-05")  # due on the 4th at 09:00
        at.turn(hours=20.9)
        at.tick()
        assert at.runs() == []
        at.turn(hours=0.2)
        at.tick()
        assert at.runs() == [("2031-03-05", "done", None)]
        assert len(at.meta.bodies) == 1
        at.turn(hours=2)
        at.tick()
        assert len(at.meta.bodies) == 1
        assert at.due() == []

    def test_a_moved_trip_fires_anew_and_moved_back_it_does_not(self, at: Automations) -> None:
        at.rule("trip_start", DAY_BEFORE)
        subject = at.trip(at.person(), "2031-03-04")
        at.tick()
        for date in ("2031-03-03", "2031-03-04"):
            at.put("trips", subject, start_date=date)
        assert at.due() == []
        at.put("trips", subject, start_date="2031-03-06")
        at.turn(days=2)
        at.tick()
        assert at.runs() == [("2031-03-04", "done", None), ("2031-03-06", "done", None)]

    def test_what_changed_since_it_was_taken_is_seen(self, at: Automations) -> None:
        at.rule("trip_start", DAY_BEFORE)
        subject = at.trip(at.person(), "2031-03-04")
        at.evaluate()
        at.put("trips", subject, status="cancelled")
        at.work()
        assert at.runs() == [("2031-03-04", "skipped", "not so any more")]
        assert at.meta.bodies == []


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({}, "trigger_config"),
        ({"days_before": 1, "hours_before": 1}, "trigger_config"),
        ({"days_before": -1}, "trigger_config.days_before"),
        ({"days_before": 10**6}, "trigger_config.days_before"),
        ({"days_before": 1, "at": "25:00"}, "trigger_config.at"),
        ({"days_before": 1, "at": 9}, "trigger_config.at"),
        ({"days_before": 1, "zone": "UTC"}, "trigger_config.zone"),
    ],
)
def test_a_rule_that_cannot_be_meant_names_its_member(
    at: Automations, config: dict[str, Any], field: str
) -> None:
    with pytest.raises(Unprocessable) as refused:
        at.rule("trip_start", config)
    assert refused.value.field == field
    assert at.place.rows("automation_rules") == []
