"""The gate `number`."""

from __future__ import annotations

from typing import Any

import pytest

from switchboard.policy.gates._gate import Defer, Deny
from switchboard.policy.gates.number import KIND
from tests.policy_facts import facts


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tenant_active": False}, "tenant_inactive"),
        ({"number_active": False}, "number_inactive"),
        ({"number_status": "disconnected"}, "number_disconnected"),
        ({"number_status": "suspended"}, "number_suspended"),
        ({"has_token": False}, "token_missing"),
    ],
)
def test_a_number_that_cannot_send_denies(change: dict[str, Any], reason: str) -> None:
    finding = KIND.ask(facts(**change))
    assert isinstance(finding, Deny)
    assert finding.reason == reason
    # What is denied for good is not put off by a stop.
    assert KIND.ask(facts(**change, tenant_stopped=True)) == finding


@pytest.mark.parametrize("change", [{"tenant_stopped": True}, {"number_stopped": True}])
def test_a_stop_holds_messages_back_and_denies_none(change: dict[str, Any]) -> None:
    finding = KIND.ask(facts(**change))
    assert isinstance(finding, Defer)
    assert (finding.reason, finding.until) == ("stopped", None)


@pytest.mark.parametrize("status", ["connected", "pending", "error"])
def test_a_number_that_may_work_tries(status: str) -> None:
    """Meta is the judge of a number that waits for its first connection."""
    assert KIND.ask(facts(number_status=status)) is None
