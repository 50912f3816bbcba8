"""A booking that has been pending for longer than that, once for each time it became pending."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import Field, model_validator

from switchboard.automation.facts import Facts
from switchboard.automation.triggers._kind import Plan, TriggerKind
from switchboard.kernel.arguments import Arguments

_LONGEST = 525_600


class BookingPending(Arguments):
    """How long; exactly one of the units."""

    older_than_minutes: int | None = Field(None, ge=0, le=_LONGEST, strict=True)
    older_than_hours: int | None = Field(None, ge=0, le=_LONGEST // 60, strict=True)
    older_than_days: int | None = Field(None, ge=0, le=_LONGEST // 1440, strict=True)

    @model_validator(mode="after")
    def _one(self) -> BookingPending:
        given = [self.older_than_minutes, self.older_than_hours, self.older_than_days]
        if sum(one is not None for one in given) != 1:
            raise ValueError(
                "exactly one of older_than_minutes, older_than_hours, older_than_days must be given"
            )
        return self


def plan(config: BookingPending) -> Plan:
    """Return the time since it became pending."""
    return Plan(
        delay=timedelta(
            minutes=config.older_than_minutes or 0,
            hours=config.older_than_hours or 0,
            days=config.older_than_days or 0,
        ),
        listens_to="booking_pending",
    )


def is_so(facts: Facts, occurrence: str) -> bool:
    """Return whether it is pending since the same moment."""
    since = facts.booking and facts.booking["pending_since"]
    if not since:
        return False
    moment = datetime.fromisoformat(since).astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") == occurrence


KIND = TriggerKind(name="booking_pending", config=BookingPending, plan=plan, is_so=is_so)
