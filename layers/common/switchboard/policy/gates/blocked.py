"""A blocked person gets nothing: Meta refuses it, and staff meant it."""

from __future__ import annotations

from switchboard.policy.facts import Facts
from switchboard.policy.gates._gate import ALL, Deny, Finding, Gate


def _ask(facts: Facts) -> Finding:
    if facts.is_blocked:
        return Deny("contact_blocked", "unblock the contact first")
    return None


KIND = Gate("blocked", rank=30, kinds=ALL, ask=_ask)
