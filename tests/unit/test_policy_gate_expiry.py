"""The gate `expiry`."""

from __future__ import annotations

from datetime import timedelta

import pytest

from switchboard.policy import Kind
from switchboard.policy.gates._gate import Deny
from switchboard.policy.gates.expiry import KIND
from tests.policy_facts import AT, facts


@pytest.mark.parametrize(("left_s", "passes"), [(1, True), (0, False), (-1, False)])
def test_a_message_goes_out_before_its_own_end_only(left_s: int, passes: bool) -> None:
    assert KIND.kinds == frozenset(Kind)
    finding = KIND.ask(facts(expires_at=AT + timedelta(seconds=left_s)))
    assert (finding is None) == passes
    assert passes or (isinstance(finding, Deny) and finding.reason == "expired")


def test_without_an_end_it_never_expires() -> None:
    assert KIND.ask(facts(expires_at=None)) is None
