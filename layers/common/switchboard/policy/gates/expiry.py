"""A message past its own end (`expires_at`) is not sent any more."""

from __future__ import annotations

from switchboard.policy.facts import Facts
from switchboard.policy.gates._gate import ALL, Deny, Finding, Gate

EXPIRED = "expired"


def _ask(facts: Facts) -> Finding:
    if facts.expires_at is not None and facts.expires_at <= facts.at:
        return Deny(EXPIRED, "its expires_at is over")
    return None


KIND = Gate("expiry", rank=50, kinds=ALL, ask=_ask)
