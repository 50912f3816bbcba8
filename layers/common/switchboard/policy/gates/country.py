"""Marketing to numbers of the United States is not delivered by Meta since April 2025 (Cloud API,
Per-user marketing limits); such a message would be charged to quality and never arrive."""

from __future__ import annotations

from switchboard.kernel.phones import country_of
from switchboard.policy.facts import Facts, Kind
from switchboard.policy.gates._gate import Deny, Finding, Gate


def _ask(facts: Facts) -> Finding:
    if country_of(facts.recipient) == "US":
        return Deny("marketing_to_us", "Meta delivers no marketing to numbers of the United States")
    return None


KIND = Gate("country", rank=36, kinds=frozenset({Kind.MARKETING}), ask=_ask)
