"""Planned instants: a cron rule in a time zone, an interval, or one date.

Cron rules are cronsim's, five fields. Changes of clocks as Debian's cron has them: what falls into
a skipped hour runs right after it, what falls into an hour that comes twice runs once; a rule whose
hour or minute is a `*` goes by elapsed time and does neither.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, model_validator

from switchboard.automation.triggers._kind import Plan, TriggerKind
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.zones import known_zone

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: A moment that every zone has a time for.
_Moment = Annotated[
    AwareDatetime,
    Field(ge=datetime(2, 1, 1, tzinfo=UTC), le=datetime(9998, 12, 31, tzinfo=UTC)),
]


def _cron(text: str) -> str:
    from cronsim import CronSim, CronSimError

    if len(text.split()) != 5:
        raise ValueError("must have five fields: minute, hour, day, month, weekday")
    try:
        next(CronSim(text, datetime(2024, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration):
        raise ValueError("is no cron rule, or one that never comes") from None
    return text


class Schedule(Arguments):
    """Exactly one of cron, every_minutes and at."""

    cron: Annotated[str, StringConstraints(max_length=200), AfterValidator(_cron)] | None = None
    timezone: Annotated[str, StringConstraints(max_length=64), AfterValidator(known_zone)] = "UTC"
    every_minutes: int | None = Field(None, ge=1, le=527_040, strict=True)
    starting_at: _Moment = _EPOCH
    at: _Moment | None = None

    @model_validator(mode="after")
    def _one(self) -> Schedule:
        if sum(one is not None for one in (self.cron, self.every_minutes, self.at)) != 1:
            raise ValueError("exactly one of cron, every_minutes, at must be given")
        return self


def following(config: Schedule, after: datetime) -> datetime | None:
    """Return the first planned instant later than `after`."""
    if config.at is not None:
        return config.at.astimezone(UTC) if config.at > after else None
    if config.cron is None:
        start = config.starting_at.astimezone(UTC)
        step = timedelta(minutes=config.every_minutes or 1)
        return start if after < start else start + ((after - start) // step + 1) * step
    from cronsim import CronSim

    # Asked in the second of two equal hours cronsim answers with the first.
    found = CronSim(config.cron, after.astimezone(ZoneInfo(config.timezone)))
    return next((one for local in found if (one := local.astimezone(UTC)) > after), None)


KIND = TriggerKind(
    name="schedule", config=Schedule, plan=lambda _: Plan(), next=following, grace_s=3600
)
