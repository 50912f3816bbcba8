"""The caller's API key must carry the scope for sending."""

from __future__ import annotations

from switchboard.policy.facts import Facts
from switchboard.policy.gates._gate import ALL, Deny, Finding, Gate

SCOPE = "messages:send"


def _ask(facts: Facts) -> Finding:
    if facts.scopes is None or SCOPE in facts.scopes:
        return None
    return Deny("scope_missing", f"use a key with the scope {SCOPE}")


KIND = Gate("key", rank=0, kinds=ALL, ask=_ask)
