"""The gate `stop`."""

from __future__ import annotations

from datetime import timedelta

import pytest

from switchboard.policy import Kind
from switchboard.policy.gates.stop import KIND
from tests.policy_facts import AT, facts

STOPPED = AT - timedelta(hours=1)


@pytest.mark.parametrize(("minutes", "passes"), [(-1, False), (0, False), (1, True)])
def test_after_a_stop_the_person_must_write_again(minutes: int, passes: bool) -> None:
    wrote = STOPPED + timedelta(minutes=minutes)
    finding = KIND.ask(facts(opted_out_at=STOPPED, last_inbound_at=wrote))
    assert (finding is None) == passes
    assert passes or (finding is not None and finding.reason == "opted_out")


def test_who_never_wrote_to_this_number_has_not_written_since() -> None:
    assert KIND.ask(facts(opted_out_at=STOPPED, last_inbound_at=None)) is not None


def test_the_sentence_that_confirms_the_stop_is_let_through() -> None:
    confirmed = facts(opted_out_at=STOPPED, last_inbound_at=STOPPED, confirms_consent=True)
    assert KIND.ask(confirmed) is None


def test_nobody_else_is_asked_and_codes_neither() -> None:
    assert KIND.ask(facts()) is None
    assert KIND.kinds == {Kind.REPLY}
