"""The gate `marketing_stop`."""

from __future__ import annotations

from switchboard.policy import Kind
from switchboard.policy.facts import Person
from switchboard.policy.gates.marketing_stop import KIND
from tests.policy_facts import facts


def test_what_the_person_told_whatsapp_counts_for_marketing_alone() -> None:
    finding = KIND.ask(facts(person=Person(opt_in="opted_in", marketing_stopped=True)))
    assert finding is not None
    assert finding.reason == "marketing_stopped"
    assert KIND.ask(facts(person=Person(opt_in="opted_in"))) is None
    assert KIND.kinds == {Kind.MARKETING}
