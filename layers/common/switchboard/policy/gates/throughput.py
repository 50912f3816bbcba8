"""Messages a second of a number, in and out together (Meta's 130429). The booking in the database
has the last word; this tells beforehand."""

from __future__ import annotations

from switchboard.policy.facts import Facts
from switchboard.policy.gates._gate import ALL, Defer, Finding, Gate


def _ask(facts: Facts) -> Finding:
    if facts.sendable_at is None or facts.sendable_at <= facts.at:
        return None
    return Defer("throughput_limit", "the number sends as fast as Meta allows", facts.sendable_at)


KIND = Gate("throughput", rank=60, kinds=ALL, ask=_ask)
