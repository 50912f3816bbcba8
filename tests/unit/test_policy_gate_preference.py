"""The gate `preference`."""

from __future__ import annotations

import pytest

from switchboard.policy.facts import Person
from switchboard.policy.gates.preference import KIND
from tests.policy_facts import facts

PERSON = Person(wants={"budget_alerts": False, "marketing": True, "trip_reminders": None})


@pytest.mark.parametrize(
    ("category", "passes"),
    [
        ("budget_alerts", False),
        ("marketing", True),
        ("trip_reminders", True),
        ("ai_suggestions", True),
        (None, True),
    ],
)
def test_only_what_was_refused_is_held_back(category: str | None, passes: bool) -> None:
    finding = KIND.ask(facts(person=PERSON, notification_category=category))
    assert (finding is None) == passes
    assert passes or (finding is not None and finding.reason == "preference")
