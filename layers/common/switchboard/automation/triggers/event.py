"""An event of a tenant's own name, which an internal service tells by direct invocation."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from switchboard.automation.triggers._kind import Plan, TriggerKind
from switchboard.kernel.arguments import Arguments

Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class Event(Arguments):
    """Its name, letter by letter."""

    event: Name


def plan(config: Event) -> Plan:
    """Return what it listens to."""
    return Plan(listens_to=config.event)


KIND = TriggerKind(name="event", config=Event, plan=plan)
