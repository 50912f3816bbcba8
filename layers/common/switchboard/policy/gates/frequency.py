"""The tenant's cap: so many marketing messages a person in so many hours."""

from __future__ import annotations

from switchboard.policy.facts import Facts, Kind
from switchboard.policy.gates._gate import Deny, Finding, Gate


def _ask(facts: Facts) -> Finding:
    person = facts.person
    if person is None or person.cap is None or person.marketing_sent < person.cap:
        return None
    return Deny(
        "frequency_cap",
        f"the person had {person.marketing_sent} marketing messages in {person.cap_hours} hours",
    )


KIND = Gate("frequency", rank=42, kinds=frozenset({Kind.MARKETING}), ask=_ask)
