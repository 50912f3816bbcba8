"""budget_exceeded: once per crossing, however often the spending is written."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from switchboard.kernel.errors import Unprocessable
from tests.automating import START, Automations
from tests.databases import ClonedDatabase

NINETY = {"threshold_percent": 90}


@pytest.fixture
def at(database: ClonedDatabase) -> Iterator[Automations]:
    automations = Automations(database)
    yield automations
    automations.close()


def trip(at: Automations, spent: int = 0, **columns: Any) -> UUID:
    budget = {"budget_minor": 1000, "currency": "EUR", "spent_minor": spent}
    return at.trip(at.person(), **{**budget, **columns})


@pytest.mark.parametrize(
    ("spent", "crossed"), [(0, False), (899, False), (900, True), (2000, True)]
)
def test_it_crosses_at_its_share(at: Automations, spent: int, crossed: bool) -> None:
    at.rule("budget_exceeded", NINETY)
    subject = trip(at)
    at.put("trips", subject, spent_minor=spent)
    assert at.due() == ([(subject, "1", START)] if crossed else [])


def test_each_crossing_runs_once(at: Automations) -> None:
    at.rule("budget_exceeded", NINETY)
    subject = trip(at)
    for spent in (950, 960, 1200):
        at.put("trips", subject, spent_minor=spent)
        at.tick()
    assert at.runs() == [("1", "done", None)]
    at.put("trips", subject, spent_minor=500)
    at.tick()
    for spent in (950, 960):
        at.put("trips", subject, spent_minor=spent)
        at.tick()
    assert at.runs() == [("1", "done", None), ("2", "done", None)]


def test_a_budget_that_is_raised_falls_below_and_a_lowered_one_crosses(at: Automations) -> None:
    at.rule("budget_exceeded", NINETY)
    subject = trip(at, 950)
    at.tick()
    at.put("trips", subject, budget_minor=2000)
    at.put("trips", subject, budget_minor=1000)
    assert [occurrence for _, occurrence, _ in at.due()] == ["2"]


def test_a_trip_that_comes_with_more_than_its_share_has_crossed(at: Automations) -> None:
    at.rule("budget_exceeded", NINETY)
    subject = trip(at, 950)
    assert at.due() == [(subject, "1", START)]


def test_what_is_above_when_the_rule_is_made_has_not(at: Automations) -> None:
    subject = trip(at, 950)
    at.rule("budget_exceeded", NINETY)
    at.put("trips", subject, spent_minor=960)
    assert at.due() == []
    at.put("trips", subject, spent_minor=100)
    at.put("trips", subject, spent_minor=960)
    assert at.due() == [(subject, "1", START)]


def test_what_crossed_while_the_rule_rested_has_not(at: Automations) -> None:
    rule = at.rule("budget_exceeded", NINETY)
    subject = trip(at)
    at.change(rule, is_active=False)
    at.put("trips", subject, spent_minor=950)
    at.change(rule, is_active=True)
    assert at.due() == []
    at.change(rule, trigger_config={"threshold_percent": 99})
    at.put("trips", subject, spent_minor=1000)
    assert [occurrence for _, occurrence, _ in at.due()] == ["1"]


@pytest.mark.parametrize(
    "change", [{"spent_minor": 100}, {"status": "cancelled"}, {"budget_minor": None}]
)
def test_what_is_not_above_any_more_is_due_for_nothing(
    at: Automations, change: dict[str, Any]
) -> None:
    at.rule("budget_exceeded", NINETY)
    subject = trip(at, 950)
    at.put("trips", subject, **change)
    assert at.due() == []


def test_each_rule_has_a_share_of_its_own(at: Automations) -> None:
    half = at.rule("budget_exceeded", {"threshold_percent": 50})
    whole = at.rule("budget_exceeded", {})
    subject = trip(at, 600)
    at.tick()
    at.put("trips", subject, spent_minor=1000)
    at.tick()
    assert at.runs(rule_id=half.id) == at.runs(rule_id=whole.id) == [("1", "done", None)]


def test_one_persons_rule_sees_that_persons_trips(at: Automations) -> None:
    ada = at.person()
    at.rule("budget_exceeded", NINETY, contact_id=str(ada.contact_id))
    trip(at, 950)
    assert at.due() == []


def test_writers_at_once_make_one_crossing(at: Automations) -> None:
    at.rule("budget_exceeded", NINETY)
    subject = trip(at)
    writers = [
        threading.Thread(target=at.put, args=("trips", subject), kwargs={"spent_minor": 950 + n})
        for n in range(8)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [occurrence for _, occurrence, _ in at.due()] == ["1"]


def test_sums_that_no_bigint_holds_are_compared(at: Automations) -> None:
    at.rule("budget_exceeded", NINETY)
    trip(at, 2**62, budget_minor=2**62)
    assert len(at.due()) == 1


@pytest.mark.parametrize("percent", [0, 1001, "90", 1.5])
def test_a_rule_that_cannot_be_meant_names_its_member(at: Automations, percent: Any) -> None:
    with pytest.raises(Unprocessable) as refused:
        at.rule("budget_exceeded", {"threshold_percent": percent})
    assert refused.value.field == "trigger_config.threshold_percent"
