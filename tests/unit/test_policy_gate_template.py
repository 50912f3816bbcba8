"""The gate `template`."""

from __future__ import annotations

import pytest

from switchboard.policy import Kind
from switchboard.policy.gates._gate import Defer, Deny
from switchboard.policy.gates.template import KIND
from switchboard.policy.verdict import Deferred, due_at
from tests.policy_facts import facts


@pytest.mark.parametrize("status", ["APPROVED", None, "FLAGGED", "WORD_OF_TOMORROW"])
def test_what_meta_approves_or_nobody_knows_may_go(status: str | None) -> None:
    assert KIND.ask(facts(template_status=status)) is None


def test_a_paused_one_is_held_until_it_is_released() -> None:
    finding = KIND.ask(facts(template_status="PAUSED"))
    assert isinstance(finding, Defer)
    assert due_at(Deferred(finding.reason, "", finding.until, {})) == "infinity"


@pytest.mark.parametrize("status", ["REJECTED", "DISABLED", "DELETED", "PENDING", "UNAVAILABLE"])
def test_what_meta_does_not_send_is_denied_with_its_word(status: str) -> None:
    finding = KIND.ask(facts(template_status=status))
    assert isinstance(finding, Deny)
    assert finding.reason == f"template_{status.lower()}"
    assert Kind.REPLY not in KIND.kinds
