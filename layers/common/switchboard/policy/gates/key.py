"""The caller's API key must carry the scope for sending, and one more for what is urgent."""

from __future__ import annotations

from switchboard.policy.facts import Facts
from switchboard.policy.gates._gate import ALL, Deny, Finding, Gate

SCOPE = "messages:send"
#: Urgent utility messages pass opt-in, preferences and quiet hours: not every key may do that.
URGENT = "messages:urgent"


def _ask(facts: Facts) -> Finding:
    if facts.scopes is None:
        return None
    for scope in (SCOPE, URGENT) if facts.urgent else (SCOPE,):
        if scope not in facts.scopes:
            return Deny("scope_missing", f"use a key with the scope {scope}")
    return None


KIND = Gate("key", rank=0, kinds=ALL, ask=_ask)
