"""How the policy weighs gates that do not exist yet; test_policy has those that do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from switchboard.policy import Allowed, Deferred, Denied, Kind, decide, decision
from switchboard.policy.gates._gate import ALL, Defer, Deny, Finding, Gate
from tests.policy_facts import AT, facts

HOUR = timedelta(hours=1)


def gate(name: str, finding: Finding, *, rank: int = 1, kinds: Any = ALL) -> Gate:
    return Gate(name, rank=rank, kinds=kinds, ask=lambda _: finding)


@pytest.fixture
def gates(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Replace the gates: gates(gate(...), ...)."""

    def use(*chosen: Gate) -> None:
        monkeypatch.setattr(decision, "GATES", chosen)
        decision._gates.cache_clear()

    yield use
    decision._gates.cache_clear()


def test_an_unknown_end_is_later_than_any(gates: Any) -> None:
    known, unknown = Defer("known", "", AT + HOUR / 2), Defer("unknown", "", None)
    for order in ((known, unknown), (unknown, known)):
        gates(gate("a", order[0], rank=0), gate("b", order[1]))
        verdict = decide(facts(), Kind.REPLY)
        assert isinstance(verdict, Deferred)
        assert verdict.until is None


@pytest.mark.parametrize(
    ("kind", "change", "denied"),
    [
        (Kind.REPLY, {"window_expires_at": AT + HOUR}, True),
        (Kind.REPLY, {"window_expires_at": AT + 2 * HOUR}, False),
        (Kind.UTILITY, {"window_expires_at": AT + HOUR}, False),
        (Kind.UTILITY, {"expires_at": AT + HOUR}, True),
        (Kind.UTILITY, {"expires_at": AT + 2 * HOUR}, False),
    ],
)
def test_a_deferral_past_the_window_or_the_end_is_a_denial_at_once(
    gates: Any, kind: Kind, change: dict[str, Any], denied: bool
) -> None:
    gates(gate("quiet", Defer("quiet_hours", "they sleep", AT + HOUR)))
    verdict = decide(facts(**change), kind)
    assert isinstance(verdict, Denied if denied else Deferred)
    assert verdict.reason == "quiet_hours"


def test_only_the_gates_of_the_kind_are_asked(gates: Any) -> None:
    gates(gate("a", Deny("no", ""), kinds=frozenset({Kind.MARKETING})))
    assert isinstance(decide(facts(), Kind.UTILITY), Allowed)
    assert isinstance(decide(facts(), Kind.MARKETING), Denied)
