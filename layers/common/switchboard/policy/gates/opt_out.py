"""Who has opted out gets no notifications and no marketing; codes and replies have other rules."""

from __future__ import annotations

from switchboard.policy.facts import Facts, Kind
from switchboard.policy.gates._gate import Deny, Finding, Gate


def _ask(facts: Facts) -> Finding:
    if facts.person is not None and facts.person.opt_in == "opted_out":
        return Deny("opted_out", "the person has opted out; only they can opt in again")
    return None


KIND = Gate("opt_out", rank=32, kinds=frozenset({Kind.UTILITY, Kind.MARKETING}), ask=_ask)
