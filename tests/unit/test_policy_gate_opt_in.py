"""The gate `opt_in`."""

from __future__ import annotations

import pytest

from switchboard.policy import Kind
from switchboard.policy.facts import Person
from switchboard.policy.gates.opt_in import KIND
from tests.policy_facts import facts


@pytest.mark.parametrize(
    ("state", "passes"), [("pending", False), ("opted_in", True), ("opted_out", False)]
)
def test_marketing_needs_a_yes(state: str, passes: bool) -> None:
    finding = KIND.ask(facts(person=Person(opt_in=state)))
    assert (finding is None) == passes
    assert passes or (finding is not None and finding.reason == "not_opted_in")


def test_a_person_of_whom_nothing_is_known_said_no_yes() -> None:
    assert KIND.ask(facts(person=None)) is not None
    assert KIND.kinds == {Kind.MARKETING}
