"""A trip whose spending reaches a share of its budget: once for each time it crosses it.

What falls below and crosses again is the next crossing. A trip that is above when the rule is made
or switched on has not crossed anything; one that comes with more than its share has.
"""

from __future__ import annotations

from pydantic import Field

from switchboard.automation.facts import Facts
from switchboard.automation.triggers._kind import Plan, TriggerKind
from switchboard.kernel.arguments import Arguments


class BudgetExceeded(Arguments):
    """From which share of the budget on."""

    threshold_percent: int = Field(100, ge=1, le=1000, strict=True)


def plan(config: BudgetExceeded) -> Plan:
    """Return the share."""
    return Plan(percent=config.threshold_percent, listens_to="budget_exceeded")


def is_so(facts: Facts, _occurrence: str) -> bool:
    """Return whether the trip is there; that it crossed stays true when it is below again."""
    return facts.trip is not None and facts.trip["status"] != "cancelled"


KIND = TriggerKind(name="budget_exceeded", config=BudgetExceeded, plan=plan, is_so=is_so)
