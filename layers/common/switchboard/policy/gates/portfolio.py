"""People that a portfolio may send to outside their windows in 24 hours (Cloud API, Limits).

Who was counted in these hours costs nothing more. The booking in the database has the last word;
this tells beforehand.
"""

from __future__ import annotations

from datetime import timedelta

from switchboard.policy.facts import Facts, Kind
from switchboard.policy.gates._gate import Defer, Finding, Gate


def _ask(facts: Facts) -> Finding:
    portfolio = facts.portfolio
    if portfolio is None or facts.window_open or portfolio.counted or portfolio.room > 0:
        return None
    # Asked again within the hour: their window may open, the limit may rise.
    soon = facts.at + timedelta(hours=1)
    return Defer(
        "portfolio_limit",
        "as many people as Meta allows were written to in the last 24 hours",
        min(portfolio.again_at or soon, soon),
    )


KIND = Gate(
    "portfolio",
    rank=62,
    kinds=frozenset({Kind.UTILITY, Kind.AUTHENTICATION, Kind.MARKETING}),
    ask=_ask,
)
