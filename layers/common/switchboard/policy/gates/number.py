"""The sending number: ours, active, connected, with a token, and not stopped.

A stop holds messages back, it denies none: what is paused is not claimed, and lifting the stop is
one update. A number that waits for its first connection may try: Meta is the judge of that.
"""

from __future__ import annotations

from switchboard.policy.facts import Facts
from switchboard.policy.gates._gate import ALL, Defer, Deny, Finding, Gate

_OFF = frozenset({"disconnected", "suspended"})
#: The year of a pause that only a person or a new token ends.
NOBODY_KNOWS = 9999
PAUSED = "number_paused"


def _ask(facts: Facts) -> Finding:
    if not facts.tenant_active:
        return Deny("tenant_inactive", "the tenant is disabled")
    if not facts.number_active:
        return Deny("number_inactive", "the number is disabled; send from another one")
    if facts.number_status in _OFF:
        return Deny(f"number_{facts.number_status}", "the number must be connected again first")
    if not facts.has_token:
        return Deny("token_missing", "the number has no access token")
    if facts.tenant_stopped or facts.number_stopped:
        return Defer("stopped", "sending is stopped; it goes out when the stop is lifted", None)
    if facts.paused_until is not None:
        known = facts.paused_until.year < NOBODY_KNOWS
        return Defer(
            PAUSED,
            f"Meta holds the number back: {facts.paused_reason or 'no reason given'}",
            facts.paused_until if known else None,
        )
    return None


KIND = Gate("number", rank=10, kinds=ALL, ask=_ask)
