"""The gate `window`."""

from __future__ import annotations

from datetime import timedelta

import pytest

from switchboard.policy import Kind
from switchboard.policy.gates._gate import Deny
from switchboard.policy.gates.window import KIND
from tests.policy_facts import AT, facts


@pytest.mark.parametrize(("left_s", "passes"), [(1, True), (0, False), (-86_400, False)])
def test_free_form_messages_need_an_open_window(left_s: int, passes: bool) -> None:
    finding = KIND.ask(facts(window_expires_at=AT + timedelta(seconds=left_s)))
    assert (finding is None) == passes
    assert passes or (isinstance(finding, Deny) and finding.reason == "window_closed")


def test_someone_who_never_wrote_has_no_window() -> None:
    finding = KIND.ask(facts(window_expires_at=None))
    assert isinstance(finding, Deny)
    assert "template" in finding.hint


def test_templates_need_none() -> None:
    assert KIND.kinds == {Kind.REPLY}
