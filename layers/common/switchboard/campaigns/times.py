"""When a campaign may send: its start by the clock of a place, the hours of a day, how fast."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from switchboard.kernel.arguments import Arguments
from switchboard.kernel.zones import known_zone

#: Seconds of a ramp that may be made up for: a worker looks once a minute at the latest.
LOOK_BACK_S = 60.0
#: How often a ramp doubles at most; by then a thousand is a billion.
_MOST_DOUBLINGS = 20
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)

Zone = Annotated[str, StringConstraints(max_length=64), AfterValidator(known_zone)]
_Hour = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
_End = Annotated[str, StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]


def _moment(text: str) -> str:
    if _MOMENT.fullmatch(text) is None:
        raise ValueError(
            "must be a time such as 2027-03-14T09:00, in the campaign's zone or its own"
        )
    try:
        datetime.fromisoformat(text.upper())
    except ValueError:
        raise ValueError("is no time of the calendar") from None
    return text


#: A time with its own offset, or of the clock on the wall in the campaign's zone.
Moment = Annotated[str, StringConstraints(max_length=40), AfterValidator(_moment)]


def instant(moment: str, zone: str) -> datetime:
    """Return the moment in UTC.

    Of a clock on the wall: a time that a change of clocks leaves out is as much later, one that
    comes twice is the first. Raises OverflowError at the ends of the calendar.
    """
    read = datetime.fromisoformat(moment.upper())
    return (read if read.tzinfo else read.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)


class SendWindow(Arguments):
    """Hours and weekdays (Monday is 1) of the campaign's zone in which messages begin to go out."""

    from_: _Hour = Field(alias="from")
    until: _End
    weekdays: list[Annotated[int, Field(ge=1, le=7, strict=True)]] = Field(
        default=[1, 2, 3, 4, 5, 6, 7], min_length=1, max_length=7
    )

    @model_validator(mode="after")
    def _forward(self) -> SendWindow:
        if self.from_ >= self.until:
            raise ValueError("from must be earlier than until, on the same day")
        return self


def opening(window: SendWindow, zone: str, at: datetime) -> datetime | None:
    """Return when the window opens next; None: it is open at that moment."""
    here = at.astimezone(ZoneInfo(zone)).date()
    for days in range(-1, 9):
        day = here + timedelta(days=days)
        if day.isoweekday() not in window.weekdays or at >= _on(day, window.until, zone):
            continue
        opens = _on(day, window.from_, zone)
        # An hour that is left out may leave nothing of a short window.
        if opens >= _on(day, window.until, zone):
            continue
        return None if at >= opens else opens
    raise AssertionError("some weekday comes within a week")


def closing(window: SendWindow, zone: str, at: datetime) -> datetime:
    """Return when a window that is open at that moment closes."""
    here = at.astimezone(ZoneInfo(zone)).date()
    for days in (-1, 0, 1):
        closes = _on(here + timedelta(days=days), window.until, zone)
        if closes > at:
            return closes
    raise AssertionError("a day has an end")


def open_seconds(window: SendWindow, zone: str, since: datetime, until: datetime) -> float:
    """Return for how long the window was open between two moments."""
    place = ZoneInfo(zone)
    first = since.astimezone(place).date() - timedelta(days=1)
    total = 0.0
    for days in range((until.astimezone(place).date() - first).days + 1):
        day = first + timedelta(days=days)
        if day.isoweekday() in window.weekdays:
            opens = max(since, _on(day, window.from_, zone))
            closes = min(until, _on(day, window.until, zone))
            total += max(0.0, (closes - opens).total_seconds())
    return total


def _on(day: date, clock: str, zone: str) -> datetime:
    if clock == "24:00":
        day, clock = day + timedelta(days=1), "00:00"
    return datetime.combine(day, time.fromisoformat(clock), ZoneInfo(zone)).astimezone(UTC)


class Ramp(Arguments):
    """How many messages a minute begin to go out, and when that doubles."""

    per_minute: int = Field(ge=1, le=60_000, strict=True)
    doubles_every_minutes: int | None = Field(None, ge=1, le=10_080, strict=True)

    def rate(self, since_s: float) -> float:
        """Return messages a second, so many seconds after the start without closed hours."""
        doublings = 0
        if self.doubles_every_minutes is not None:
            doublings = min(int(since_s / 60 / self.doubles_every_minutes), _MOST_DOUBLINGS)
        return self.per_minute * float(2**doublings) / 60


def allowance(
    ramp: Ramp,
    *,
    started_at: datetime,
    paid_until: datetime | None,
    now: datetime,
    open_s: float | None = None,
) -> tuple[int, datetime, float]:
    """Return how many may go now, from when they are paid for, and messages a second.

    `open_s`: seconds since the start in which the window was open (None: all of them); a night
    does not make it faster.
    """
    since_s = (now - started_at).total_seconds() if open_s is None else open_s
    rate = ramp.rate(max(0.0, since_s))
    base = max(paid_until or started_at, now - timedelta(seconds=max(LOOK_BACK_S, 1 / rate)))
    return int(max(0.0, (now - base).total_seconds()) * rate + 1e-6), base, rate
