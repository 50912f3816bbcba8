"""The gate `frequency`."""

from __future__ import annotations

import pytest

from switchboard.policy.facts import Person
from switchboard.policy.gates.frequency import KIND
from tests.policy_facts import facts


@pytest.mark.parametrize(
    ("cap", "sent", "passes"), [(None, 99, True), (3, 2, True), (3, 3, False), (1, 5, False)]
)
def test_a_person_gets_no_more_than_the_cap(cap: int | None, sent: int, passes: bool) -> None:
    person = Person(opt_in="opted_in", cap=cap, cap_hours=24, marketing_sent=sent)
    finding = KIND.ask(facts(person=person))
    assert (finding is None) == passes
    assert passes or (finding is not None and finding.reason == "frequency_cap")
