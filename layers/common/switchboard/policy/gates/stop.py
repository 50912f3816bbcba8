"""After STOP nobody answers freely before the person writes again.

The sentence that confirms the STOP itself is let through: the person asked for it.
"""

from __future__ import annotations

from switchboard.policy.facts import Facts, Kind
from switchboard.policy.gates._gate import Deny, Finding, Gate


def _ask(facts: Facts) -> Finding:
    if facts.opted_out_at is None or facts.confirms_consent:
        return None
    if facts.last_inbound_at is not None and facts.last_inbound_at > facts.opted_out_at:
        return None
    return Deny("opted_out", "the person said STOP and has not written since")


KIND = Gate("stop", rank=32, kinds=frozenset({Kind.REPLY}), ask=_ask)
