"""Staging safety: outside the allow-list nothing is sent (RECIPIENT_ALLOW_LIST)."""

from __future__ import annotations

from switchboard.kernel.phones import national_variant
from switchboard.policy.facts import Facts
from switchboard.policy.gates._gate import ALL, Deny, Finding, Gate


def _ask(facts: Facts) -> Finding:
    if not facts.allow_list:
        return None
    if national_variant(facts.recipient) in {national_variant(n) for n in facts.allow_list}:
        return None
    return Deny("recipient_not_allowed", "this deployment sends to its allow-list only")


KIND = Gate("recipient", rank=20, kinds=ALL, ask=_ask)
