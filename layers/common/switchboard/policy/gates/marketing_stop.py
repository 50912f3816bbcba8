"""The person told WhatsApp to stop this business's marketing (webhook user_preferences; Meta would
refuse it with 131050)."""

from __future__ import annotations

from switchboard.policy.facts import Facts, Kind
from switchboard.policy.gates._gate import Deny, Finding, Gate


def _ask(facts: Facts) -> Finding:
    if facts.person is not None and facts.person.marketing_stopped:
        return Deny("marketing_stopped", "the person stopped marketing messages in WhatsApp")
    return None


KIND = Gate("marketing_stop", rank=33, kinds=frozenset({Kind.MARKETING}), ask=_ask)
