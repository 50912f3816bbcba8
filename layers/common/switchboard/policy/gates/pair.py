"""One person gets at most 45 messages at once and then one in 6 seconds (Meta's 131056).

The booking in the database has the last word; this tells beforehand.
"""

from __future__ import annotations

from switchboard.policy.facts import Facts
from switchboard.policy.gates._gate import ALL, Defer, Finding, Gate


def _ask(facts: Facts) -> Finding:
    if facts.pair_free_at is None or facts.pair_free_at <= facts.at:
        return None
    return Defer(
        "pair_limit",
        "one person gets at most 45 messages at once and one in 6 seconds",
        facts.pair_free_at,
    )


KIND = Gate("pair", rank=61, kinds=ALL, ask=_ask)
