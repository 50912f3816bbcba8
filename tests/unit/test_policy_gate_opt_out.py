"""The gate `opt_out`."""

from __future__ import annotations

import pytest

from switchboard.policy.facts import Person
from switchboard.policy.gates.opt_out import KIND
from tests.policy_facts import facts


@pytest.mark.parametrize(
    ("state", "passes"), [("pending", True), ("opted_in", True), ("opted_out", False)]
)
def test_only_who_said_no_gets_nothing(state: str, passes: bool) -> None:
    finding = KIND.ask(facts(person=Person(opt_in=state)))
    assert (finding is None) == passes
    assert passes or (finding is not None and finding.reason == "opted_out")
