"""Marketing goes to people who have opted in, and to nobody else (WhatsApp Business policy)."""

from __future__ import annotations

from switchboard.policy.facts import Facts, Kind
from switchboard.policy.gates._gate import Deny, Finding, Gate


def _ask(facts: Facts) -> Finding:
    if facts.person is not None and facts.person.opt_in == "opted_in":
        return None
    return Deny("not_opted_in", "record the person's opt-in first (POST /v1/consents)")


KIND = Gate("opt_in", rank=34, kinds=frozenset({Kind.MARKETING}), ask=_ask)
