"""The gate `throughput`."""

from __future__ import annotations

from datetime import timedelta

from switchboard.policy.gates._gate import Defer
from switchboard.policy.gates.throughput import KIND
from tests.policy_facts import AT, facts


def test_a_number_at_its_rate_defers_to_the_next_free_moment() -> None:
    later = AT + timedelta(milliseconds=1)
    finding = KIND.ask(facts(sendable_at=later))
    assert isinstance(finding, Defer)
    assert finding.until == later
    assert KIND.ask(facts(sendable_at=AT)) is None
    assert KIND.ask(facts(sendable_at=None)) is None
