"""The gate `country`."""

from __future__ import annotations

import pytest

from switchboard.policy import Kind
from switchboard.policy.gates.country import KIND
from tests.policy_facts import facts


@pytest.mark.parametrize(
    ("recipient", "passes"),
    [
        ("12125550123", False),
        ("14165550123", True),
        ("18765550123", True),
        ("525550001234", True),
        ("US.1349", False),
        ("MX.9001", True),
        ("10000000000", True),
    ],
)
def test_marketing_does_not_go_to_the_united_states(recipient: str, passes: bool) -> None:
    finding = KIND.ask(facts(recipient=recipient))
    assert (finding is None) == passes
    assert passes or (finding is not None and finding.reason == "marketing_to_us")
    assert KIND.kinds == {Kind.MARKETING}
