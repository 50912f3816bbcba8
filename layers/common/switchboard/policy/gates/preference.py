"""A person can refuse a category of notifications. What was never decided is allowed: marketing has
its opt-in for that."""

from __future__ import annotations

from switchboard.policy.facts import Facts, Kind
from switchboard.policy.gates._gate import Deny, Finding, Gate


def _ask(facts: Facts) -> Finding:
    category = facts.notification_category
    if facts.person is None or category is None:
        return None
    if facts.person.wants.get(category) is False:
        return Deny("preference", f"the person does not want {category}")
    return None


KIND = Gate("preference", rank=38, kinds=frozenset({Kind.UTILITY, Kind.MARKETING}), ask=_ask)
