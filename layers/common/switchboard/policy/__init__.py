"""The sending policy: which message may go out, when, and why (design: promise 6).

`decide` asks every gate of `policy/gates/` that applies to the message's kind and keeps each
gate's finding. It reads facts and touches nothing, so it can be asked beforehand as well.
"""

from switchboard.policy.decision import decide, kind_of, stricter
from switchboard.policy.facts import CATEGORIES, Facts, Kind, person_of, portfolio_of
from switchboard.policy.verdict import Allowed, Deferred, Denied, Verdict

__all__ = [
    "CATEGORIES",
    "Allowed",
    "Deferred",
    "Denied",
    "Facts",
    "Kind",
    "Verdict",
    "decide",
    "kind_of",
    "person_of",
    "portfolio_of",
    "stricter",
]
