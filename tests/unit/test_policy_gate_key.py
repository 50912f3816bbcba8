"""The gate `key`."""

from __future__ import annotations

import pytest

from switchboard.policy.gates._gate import Deny
from switchboard.policy.gates.key import KIND
from tests.policy_facts import facts


@pytest.mark.parametrize("scopes", [set(), {"messages:read"}, {"messages"}, {"messages:sender"}])
def test_a_key_without_the_scope_sends_nothing(scopes: set[str]) -> None:
    finding = KIND.ask(facts(scopes=frozenset(scopes)))
    assert isinstance(finding, Deny)
    assert finding.reason == "scope_missing"
    assert "messages:send" in finding.hint


def test_a_key_with_the_scope_sends() -> None:
    assert KIND.ask(facts(scopes=frozenset({"messages:read", "messages:send"}))) is None


def test_where_no_key_asks_something_else_guards() -> None:
    assert KIND.ask(facts(scopes=None)) is None


def test_a_missing_scope_is_told_before_any_other_denial() -> None:
    """Whoever may not send learns nothing of the contact or the number."""
    assert KIND.rank == 0


def test_urgent_needs_a_scope_of_its_own() -> None:
    finding = KIND.ask(facts(scopes=frozenset({"messages:send"}), urgent=True))
    assert isinstance(finding, Deny)
    assert "messages:urgent" in finding.hint
    both = frozenset({"messages:send", "messages:urgent"})
    assert KIND.ask(facts(scopes=both, urgent=True)) is None
