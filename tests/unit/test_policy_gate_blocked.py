"""The gate `blocked`."""

from __future__ import annotations

from switchboard.policy import Kind
from switchboard.policy.gates._gate import Deny
from switchboard.policy.gates.blocked import KIND
from tests.policy_facts import facts


def test_a_blocked_person_gets_nothing_of_any_kind() -> None:
    assert KIND.kinds == frozenset(Kind)
    finding = KIND.ask(facts(is_blocked=True))
    assert isinstance(finding, Deny)
    assert finding.reason == "contact_blocked"


def test_nobody_else_is_held() -> None:
    assert KIND.ask(facts()) is None
