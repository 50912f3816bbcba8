"""Dry run: it says what the evaluator and the engine would have done, and writes nothing."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from switchboard.automation import rehearsal
from switchboard.automation.rehearsal import NewRuleTried, Rehearsal, Stretch
from switchboard.kernel.arguments import read
from switchboard.kernel.errors import NotFound, Unprocessable
from switchboard.prices import table
from switchboard.prices.table import Card
from switchboard.store.automations import Rule
from tests.automating import TEXT, Automations
from tests.databases import ClonedDatabase
from tests.sending import Person

TEMPLATE: dict[str, Any] = {"template": "reminder", "category": "utility"}
#: Of the clocks' change in Berlin, 30 March 2031, 02:00.
SPRING = datetime(2031, 3, 27, 0, 0, tzinfo=UTC)


@pytest.fixture
def at(database: ClonedDatabase) -> Iterator[Automations]:
    automations = Automations(database)
    yield automations
    automations.close()


def tried(at: Automations, trigger: str, config: dict[str, Any], **more: Any) -> Rehearsal:
    """Try a rule that is not written, over the last week unless it is said."""
    given = {
        "name": "R",
        "trigger_type": trigger,
        "trigger_config": config,
        "action_type": "send_whatsapp",
        "action_config": TEXT,
        **more,
    }
    return rehearsal.rehearse_new(at.tools(), at.place.tenant_id, read(NewRuleTried, given))


def again(at: Automations, rule: Rule, since: datetime, **more: Any) -> Rehearsal:
    """Try a rule that is written, from `since` until now."""
    stretch = read(Stretch, {"from": since.isoformat(), "limit": 200, **more})
    return rehearsal.rehearse_rule(at.tools(), at.place.tenant_id, rule.id, stretch)


def contact(at: Automations, person: Person, **columns: Any) -> None:
    """Change what is known of a person."""
    for name, value in columns.items():
        at.place.everything.execute(
            sql.SQL("update messaging.contacts set {} = %s where id = %s").format(
                sql.Identifier(name)
            ),
            (value, person.contact_id),
        )


def quiet(at: Automations, person: Person, start: str, end: str) -> None:
    """Give a person quiet hours."""
    at.place.everything.execute(
        "insert into messaging.notification_preferences (tenant_id, contact_id,"
        " quiet_hours_enabled, quiet_hours_start, quiet_hours_end) values (%s, %s, true, %s, %s)",
        (at.place.tenant_id, person.contact_id, start, end),
    )


def everything(at: Automations) -> dict[str, tuple[int, str]]:
    """Return the number of rows of every table, and a digest of what stands in them."""
    everything = at.place.everything
    names = everything.execute(
        "select c.relname from pg_class as c where c.relnamespace = 'messaging'::regnamespace"
        " and c.relkind = 'r' order by 1"
    ).fetchall()
    found = {}
    for (name,) in names:
        row = everything.execute(
            sql.SQL(
                "select count(*), md5(string_agg(t::text, '' order by t::text)) from {} as t"
            ).format(sql.Identifier("messaging", name))
        ).fetchone()
        assert row is not None
        found[name] = row[0], row[1]
    return found


class TestWhat:
    """Which occurrences came due, and what of them."""

    def test_a_rule_that_is_not_written_is_asked_of_the_same_plan(self, at: Automations) -> None:
        person = at.person()
        inside = at.trip(person, "2031-03-02", title="Rome")
        at.trip(person, "2031-02-20")
        at.trip(person, "2031-03-05")
        at.trip(person, "2031-03-01", status="cancelled")
        found = tried(at, "trip_start", {"days_before": 1, "at": "10:00"})
        assert (found.starts_at, found.ends_at) == (at.now - timedelta(days=7), at.now)
        assert (found.occurrences, found.decided, found.messages, found.people) == (1, 1, 1, 1)
        (one,) = found.data
        assert (one.occurrence, one.subject_id, one.contact_id) == (
            "2031-03-02",
            inside,
            person.contact_id,
        )
        assert one.due_at == datetime(2031, 3, 1, 10, tzinfo=UTC)
        assert (one.result, one.reason, one.category) == ("sent", None, "reply")

    def test_its_bounds_are_after_from_and_until_its_end(self, at: Automations) -> None:
        person = at.person()
        for day in (1, 2, 3):
            at.trip(person, f"2031-03-0{day}", start_time="12:00")
        since, until = "2031-03-01T12:00:00Z", "2031-03-02T12:00:00Z"
        found = tried(at, "trip_start", {"hours_before": 0}, until=until, **{"from": since})
        assert [one.occurrence for one in found.data] == ["2031-03-02"]

    def test_of_one_persons_rule_only_that_persons_facts(self, at: Automations) -> None:
        ada, bob = at.person(), at.person()
        at.trip(ada, "2031-03-02")
        at.trip(bob, "2031-03-02")
        found = tried(at, "trip_start", {"days_before": 0}, contact_id=str(ada.contact_id))
        assert [one.contact_id for one in found.data] == [ada.contact_id]

    def test_schedules_have_their_instants(self, at: Automations) -> None:
        config = {"cron": "30 9 * * 1-5", "timezone": "Europe/Berlin"}
        found = tried(
            at, "schedule", config, action_config={"to": str(at.person().contact_id), **TEXT}
        )
        assert [one.occurrence for one in found.data] == [
            "2031-02-25T08:30:00Z",
            "2031-02-26T08:30:00Z",
            "2031-02-27T08:30:00Z",
            "2031-02-28T08:30:00Z",
            "2031-03-03T08:30:00Z",
        ]

    def test_what_is_told_from_outside_cannot_be_foretold(self, at: Automations) -> None:
        with pytest.raises(Unprocessable) as refused:
            tried(at, "event", {"event": "moved"})
        assert refused.value.field == "trigger_type"

    def test_the_second_of_two_equal_hours_brings_back_nothing(self, at: Automations) -> None:
        config = {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}
        stretch = {"from": "2030-10-27T01:10:00Z", "until": "2030-10-28T12:00:00Z"}
        found = tried(at, "schedule", config, **stretch)
        assert [one.occurrence for one in found.data] == ["2030-10-28T01:30:00Z"]

    @pytest.mark.parametrize(
        ("since", "until", "field"),
        [
            ("2031-03-02T00:00:00Z", "2031-03-04T00:00:00Z", "until"),
            ("2031-03-02T00:00:00Z", "2031-03-02T00:00:00Z", "from"),
            ("2031-01-01T00:00:00Z", "2031-03-02T00:00:00Z", "from"),
        ],
    )
    def test_a_stretch_is_past_and_a_month_at_most(
        self, at: Automations, since: str, until: str, field: str
    ) -> None:
        with pytest.raises(Unprocessable) as refused:
            tried(at, "trip_start", {"days_before": 0}, until=until, **{"from": since})
        assert refused.value.field == field

    def test_another_tenants_rule_is_not_known(self, at: Automations) -> None:
        rule = at.rule("trip_start", {"days_before": 0})
        other = at.world.place().tenant_id
        with pytest.raises(NotFound):
            rehearsal.rehearse_rule(at.tools(), other, rule.id, Stretch())
        with pytest.raises(NotFound):
            rehearsal.rehearse_rule(at.tools(), at.place.tenant_id, uuid4(), Stretch())

    def test_what_is_too_much_is_counted_and_not_decided(
        self, at: Automations, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rehearsal, "MOST", 2)
        person = at.person()
        for _ in range(3):
            at.trip(person, "2031-03-02")
        found = tried(at, "trip_start", {"days_before": 0}, limit=1)
        assert (found.occurrences, found.decided, found.messages, len(found.data)) == (3, 2, 2, 1)
        found = tried(at, "schedule", {"every_minutes": 60})
        assert (found.occurrences, found.decided) == (168, 2)


class TestWhy:
    """What holds it back, by reasons; and what it would cost."""

    def test_each_reason_is_counted(self, at: Automations) -> None:
        ada, bob, eve, liv = (at.person() for _ in range(4))
        contact(at, bob, opt_in_status="opted_out", opted_out_at=at.now)
        quiet(at, eve, "00:00", "23:00")
        contact(at, eve, timezone="UTC")
        for person in (ada, ada, bob, eve):
            at.trip(person, "2031-03-02", destination="Rome")
        at.trip(liv, "2031-03-02", destination="Oslo")
        found = tried(
            at,
            "trip_start",
            {"days_before": 0},
            action_config=TEMPLATE,
            conditions={"field": "trip.destination", "op": "eq", "value": "Rome"},
            cool_down_s=3600,
        )
        assert (found.occurrences, found.messages, found.deferred, found.people) == (5, 2, 1, 2)
        (denied,) = (reason for reason in found.skipped if reason.startswith("denied: "))
        assert found.skipped == {"conditions": 1, "cool_down": 1, denied: 1}
        assert "opted_out" in denied
        (deferred,) = (one for one in found.data if one.result == "deferred")
        assert (deferred.contact_id, deferred.reason) == (eve.contact_id, "quiet_hours")
        assert deferred.until == "2031-03-02T23:00:00.000+00:00"

    def test_who_is_nobody_and_what_cannot_be_said(self, at: Automations) -> None:
        assert tried(at, "schedule", {"every_minutes": 1440}).skipped == {"no_contact": 7}
        at.trip(at.person(), "2031-03-02")
        nobody = {**TEXT, "to": str(uuid4())}
        found = tried(at, "trip_start", {"days_before": 0}, action_config=nobody)
        assert found.failed == {"this contact is not known": 1}

    def test_the_cap_goes_on_from_what_was_done_before(self, at: Automations) -> None:
        rule = at.rule("trip_start", {"hours_before": 0, "at": "12:00"}, cap_per_contact=2)
        person = at.person()
        at.trip(person, "2031-03-03")
        at.tick()
        at.turn(days=3)
        for _ in range(2):
            at.trip(person, "2031-03-05")
        found = again(at, rule, datetime(2031, 3, 4, tzinfo=UTC))
        assert (found.messages, found.skipped) == (1, {"cap_per_contact": 1})
        # From before its first run on, that one is tried anew.
        found = again(at, rule, datetime(2031, 3, 3, tzinfo=UTC))
        assert (found.messages, found.skipped) == (2, {"cap_per_contact": 1})

    def test_a_rule_that_is_switched_off_is_tried_as_if_it_were_not(self, at: Automations) -> None:
        at.trip(at.person(), "2031-03-02")
        rule = at.rule("trip_start", {"days_before": 0}, is_active=False)
        assert again(at, rule, at.now - timedelta(days=3)).messages == 1

    def test_messages_have_a_price_or_are_unknown(self, at: Automations) -> None:
        header = "currency,valid_from,category,market,countries,from_volume,amount\n"
        rates = header + "EUR,2026-10-01,utility,DE,,,0.07\nEUR,2031-03-02,utility,DE,,,0.09\n"
        table.import_rates(at.tools(), at.place.tenant_id, rates.encode())
        mexican = at.place.person("525512345678")
        for person, day in ((at.person(), 1), (at.person(), 2), (mexican, 2)):
            at.trip(person, f"2031-03-0{day}")
        found = tried(at, "trip_start", {"days_before": 0}, action_config=TEMPLATE)
        assert (found.cost.messages, found.cost.unknown) == (3, 1)
        (euro,) = found.cost.by_currency
        assert (euro.currency, euro.amount, euro.messages, euro.unknown) == ("EUR", "0.16", 2, 1)
        # The second of the month's is in the next tier, on whatever day it goes out.
        tiers = header + "EUR,2031-03-01,utility,DE,,0,0.07\nEUR,2031-03-01,utility,DE,,1,0.05\n"
        table.delete_card(
            at.tools(), at.place.tenant_id, Card(currency="EUR", valid_from=date(2031, 3, 2))
        )
        table.import_rates(at.tools(), at.place.tenant_id, tiers.encode())
        found = tried(at, "trip_start", {"days_before": 0}, action_config=TEMPLATE)
        assert found.cost.by_currency[0].amount == "0.12"

    def test_an_act_that_is_no_message_is_counted_apart(self, at: Automations) -> None:
        at.trip(at.person(), "2031-03-02")
        more = {"action_type": "update_trip", "action_config": {"status": "active"}}
        found = tried(at, "trip_start", {"days_before": 0}, **more)
        assert (found.messages, found.others, found.cost.messages) == (0, 1, 0)


class TestNothing:
    """Nothing is written, by no rule and no outcome."""

    @pytest.mark.parametrize("action", [TEXT, TEMPLATE, {**TEXT, "to": str(UUID(int=3))}])
    def test_every_table_stays_as_it_is(self, at: Automations, action: dict[str, Any]) -> None:
        person = at.person()
        trip = at.trip(person, "2031-03-02", budget_minor=100, spent_minor=10, currency="EUR")
        at.booking(person, at.now - timedelta(days=1))
        budget = at.rule("budget_exceeded", {"threshold_percent": 50}, action_config=action)
        at.put("trips", trip, spent_minor=90)
        off = at.rule("trip_start", {"days_before": 0}, is_active=False, action_config=action)
        at.rule("trip_start", {"days_before": 0}, action_config=action)
        before = everything(at)
        at.turn(hours=1)
        for trigger, config in (
            ("trip_start", {"days_before": 0}),
            ("booking_pending", {"older_than_hours": 1}),
            ("budget_exceeded", {"threshold_percent": 50}),
            ("schedule", {"every_minutes": 600}),
        ):
            tried(at, trigger, config, action_config=action, cool_down_s=60, cap_per_contact=9)
        for rule in (budget, off):
            assert again(at, rule, at.now - timedelta(days=3)).occurrences == 1
        assert everything(at) == before

    def test_it_waits_for_nobody_who_writes_facts_and_nobody_for_it(self, at: Automations) -> None:
        at.trip(at.person(), "2031-03-02")
        with psycopg.connect(at.database.app_url) as link:
            at.enter(link)
            link.execute("select messaging.hold_facts(%s)", (at.place.tenant_id,))
            assert tried(at, "trip_start", {"days_before": 0}).occurrences == 1


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(n, marks=pytest.mark.soak) for n in range(2, 30))]
)
def test_a_week_that_is_tried_is_the_week_that_was(database: ClonedDatabase, seed: int) -> None:
    """What it says of a week equals what evaluator, engine and policy did in it."""
    at = Automations(database, now=SPRING)
    try:
        _live_and_compare(at, random.Random(seed))
    finally:
        at.close()


def _live_and_compare(at: Automations, dice: random.Random) -> None:
    people = [at.person() for _ in range(6)]
    people.append(at.place.person("525512345678", window=None))
    for person in people:
        zone = dice.choice(["Europe/Berlin", "America/Lima", "Asia/Tokyo", None])
        contact(at, person, timezone=zone, opt_in_status=dice.choice(["pending", "opted_in"]))
        if dice.random() < 0.4:
            hours = dice.choice([("22:00", "07:30"), ("01:00", "02:30"), ("08:00", "20:00")])
            quiet(at, person, *hours)
        if dice.random() < 0.3:
            contact(at, person, opt_in_status="opted_out", opted_out_at=SPRING - timedelta(days=9))
    for _ in range(25):
        person, day = dice.choice(people), SPRING.date() + timedelta(days=dice.randint(-1, 9))
        at.trip(
            person,
            day.isoformat(),
            timezone=dice.choice(["Europe/Berlin", "UTC", "America/Lima"]),
            destination=dice.choice(["Rome", "Oslo", None]),
            start_time=dice.choice([None, time(2, 30), time(15, 0)]),
            budget_minor=1000,
            spent_minor=dice.choice([0, 400]),
            currency="EUR",
            status=dice.choice(["planned", "active", "cancelled"]),
        )
    for _ in range(8):
        since = SPRING + timedelta(minutes=dice.randint(-4000, 6000))
        at.booking(dice.choice(people), since)
    more = {"conditions": {"field": "trip.destination", "op": "ne", "value": "Oslo"}}
    marketing = {"template": "offer", "category": "marketing"}
    fact = {"template": "named", "category": "utility", "parameters": ["trip.destination"]}
    one = {"contact_id": str(people[0].contact_id)}
    rules = [
        at.rule("trip_start", {"days_before": 1, "at": "02:30"}, action_config=TEMPLATE, **more),
        at.rule("trip_start", {"hours_before": 5}, action_config=TEMPLATE, cool_down_s=86_400),
        at.rule("trip_start", {"hours_after": 2}, action_config=marketing, cap_per_contact=1),
        at.rule("booking_pending", {"older_than_hours": 3}, cool_down_s=7200, cap_per_contact=2),
        at.rule("trip_start", {"days_after": 0, "at": "09:00"}, action_config=fact),
        at.rule("schedule", {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}, **one),
        at.rule("schedule", {"every_minutes": 700}, action_config=TEMPLATE, **one),
    ]
    # What was due before and is not too late is done first, and counts for what follows.
    at.tick()
    at.turn(days=7)
    end = at.now
    due = _instants(at, rules, end)
    for instant in due:
        at.place.time.now = instant
        at.evaluate()
        at.work()
    at.place.time.now = end
    at.tick()
    before = everything(at)
    messages = {row["id"]: row for row in at.place.rows("whatsapp_messages")}
    compared = 0
    for rule in rules:
        told = again(at, rule, SPRING)
        rows = at.place.rows("automation_runs", rule_id=rule.id)
        runs = [row for row in rows if row["due_at"] > SPRING]
        did = Counter(_did(run, messages) for run in runs)
        said = Counter(
            (
                one.subject_id,
                one.occurrence,
                one.due_at,
                "done" if one.result in {"sent", "deferred"} else one.result,
                one.reason if one.result in {"skipped", "failed"} else None,
                one.result == "deferred",
            )
            for one in told.data
        )
        assert said == did, rule.trigger_config
        assert told.occurrences == len(runs)
        compared += len(runs)
    assert compared > 30
    assert everything(at) == before


def _instants(at: Automations, rules: list[Rule], end: datetime) -> list[datetime]:
    """Return when a tick must come so that each run is performed when it is due."""
    found = {one.due_at for rule in rules for one in again(at, rule, SPRING).data}
    assert max(found) <= end
    return sorted(found)


def _did(run: dict[str, Any], messages: dict[Any, dict[str, Any]]) -> tuple[Any, ...]:
    message = messages.get(run["message_id"])
    deferred = (
        run["status"] == "done"
        and message is not None
        and message["decision"][0]["verdict"] == "deferred"
    )
    return (
        run["subject_id"],
        run["occurrence"],
        run["due_at"],
        run["status"],
        run["reason"],
        deferred,
    )
