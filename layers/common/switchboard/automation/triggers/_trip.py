"""What the triggers of a trip's two ends share."""

from __future__ import annotations

import re
from datetime import time, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from switchboard.automation.triggers._kind import Plan
from switchboard.kernel.arguments import Arguments

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def _local(value: Any) -> Any:
    if isinstance(value, time):
        return value
    if not isinstance(value, str) or not _CLOCK.fullmatch(value):
        raise ValueError("must be a local time such as 09:00")
    return value


_Days = Annotated[int | None, Field(ge=0, le=730, strict=True)]
_Hours = Annotated[int | None, Field(ge=0, le=8760, strict=True)]


class TripEnd(Arguments):
    """Days before or after that day at a local time, or hours before or after the moment itself."""

    days_before: _Days = None
    days_after: _Days = None
    hours_before: _Hours = None
    hours_after: _Hours = None
    at: Annotated[time, BeforeValidator(_local)] = time(9)

    @model_validator(mode="after")
    def _one(self) -> TripEnd:
        given = [self.days_before, self.days_after, self.hours_before, self.hours_after]
        if sum(one is not None for one in given) != 1:
            raise ValueError(
                "exactly one of days_before, days_after, hours_before, hours_after must be given"
            )
        return self


def plan(config: TripEnd) -> Plan:
    """Return the distance, negative for before; `at` stands in for a time the trip does not say."""
    if config.days_before is not None:
        return Plan(days=-config.days_before, at=config.at)
    if config.days_after is not None:
        return Plan(days=config.days_after, at=config.at)
    hours = config.hours_after if config.hours_after is not None else -(config.hours_before or 0)
    return Plan(delay=timedelta(hours=hours), at=config.at)
