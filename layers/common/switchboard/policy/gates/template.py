"""A template goes out while Meta approves it. A paused one is held back until it is approved again;
a rejected, disabled or deleted one never goes out. What is not stored here Meta judges."""

from __future__ import annotations

from switchboard.policy.facts import Facts, Kind
from switchboard.policy.gates._gate import Defer, Deny, Finding, Gate

PAUSED = "template_paused"
_NEVER = frozenset(
    {
        "REJECTED",
        "DISABLED",
        "DELETED",
        "PENDING_DELETION",
        "ARCHIVED",
        "LIMIT_EXCEEDED",
        "PENDING",
        "IN_APPEAL",
        # Ours, after Meta said that it has none of that name and language (132001).
        "UNAVAILABLE",
    }
)


def _ask(facts: Facts) -> Finding:
    status = (facts.template_status or "").upper()
    if status == "PAUSED":
        return Defer(PAUSED, "Meta has paused the template; it goes on when it is approved", None)
    if status in _NEVER:
        return Deny(f"template_{status.lower()}", "choose a template that Meta has approved")
    return None


KIND = Gate(
    "template",
    rank=35,
    kinds=frozenset({Kind.UTILITY, Kind.AUTHENTICATION, Kind.MARKETING}),
    ask=_ask,
)
