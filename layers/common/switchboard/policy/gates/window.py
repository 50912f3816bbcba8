"""Free-form messages need an open customer service window: 24 hours from the person's last message
or call (Cloud API; Meta's error 131047). The one judge of time is the database."""

from __future__ import annotations

from switchboard.policy.facts import Facts, Kind
from switchboard.policy.gates._gate import Deny, Finding, Gate


def _ask(facts: Facts) -> Finding:
    if facts.window_open:
        return None
    return Deny(
        "window_closed",
        "the person has not written in the last 24 hours: send a template instead",
    )


KIND = Gate("window", rank=40, kinds=frozenset({Kind.REPLY}), ask=_ask)
