"""The gate `portfolio`."""

from __future__ import annotations

from datetime import timedelta

import pytest

from switchboard.policy import Kind
from switchboard.policy.facts import Portfolio
from switchboard.policy.gates._gate import Defer
from switchboard.policy.gates.portfolio import KIND
from tests.policy_facts import AT, facts

LATER = AT + timedelta(hours=3)


@pytest.mark.parametrize(
    ("room", "counted", "window_h", "passes"),
    [
        (1, False, -1, True),
        (0, False, -1, False),
        (-5, False, -1, False),
        (0, True, -1, True),
        (0, False, 1, True),
    ],
)
def test_new_people_outside_their_windows_wait_for_room(
    room: int, counted: bool, window_h: int, passes: bool
) -> None:
    finding = KIND.ask(
        facts(
            portfolio=Portfolio(room, counted, LATER),
            window_expires_at=AT + timedelta(hours=window_h),
        )
    )
    assert (finding is None) == passes
    # Three hours until there is room, and asked again after one.
    assert passes or (isinstance(finding, Defer) and finding.until == AT + timedelta(hours=1))


def test_without_a_limit_nobody_waits() -> None:
    assert KIND.ask(facts(portfolio=None, window_expires_at=None)) is None
    assert Kind.REPLY not in KIND.kinds
