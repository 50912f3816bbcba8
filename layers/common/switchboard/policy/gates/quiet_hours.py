"""Quiet hours: what nobody waits for goes out when they are over, in the person's own time.

A moment is quiet when the clock on the person's wall says so: an end that a change of clocks skips
is over when the clocks have changed, an hour that comes twice is quiet twice.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from switchboard.policy.facts import Facts, Kind
from switchboard.policy.gates._gate import Defer, Finding, Gate
from switchboard.policy.zones import zone_for

_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)


def _ask(facts: Facts) -> Finding:
    if facts.person is None or facts.person.quiet is None:
        return None
    start, end = (time.fromisoformat(text) for text in facts.person.quiet)
    zone = zone_for(facts.person.timezone, facts.recipient)
    until = _quiet_until(facts.at, zone, start, end)
    if until is None:
        return None
    return Defer("quiet_hours", f"the person's quiet hours ({zone.key})", until)


def _quiet_until(at: datetime, zone: ZoneInfo, start: time, end: time) -> datetime | None:
    """Return the first moment after `at` that is not quiet, None where `at` is none already."""
    moment = at
    while _is_quiet(clock := moment.astimezone(zone).time(), start, end):
        over = moment + (_since_midnight(end) - _since_midnight(clock)) % _DAY
        # Clocks that change on the way show something else: looked at anew from there.
        moment = _change(zone, moment, over) or over
    return None if moment == at else moment


def _is_quiet(clock: time, start: time, end: time) -> bool:
    if start <= end:
        # The same time twice is no hours at all.
        return start <= clock < end
    return clock >= start or clock < end


def _since_midnight(clock: time) -> timedelta:
    return timedelta(
        hours=clock.hour,
        minutes=clock.minute,
        seconds=clock.second,
        microseconds=clock.microsecond,
    )


def _change(zone: ZoneInfo, after: datetime, until: datetime) -> datetime | None:
    """Return when the zone's clocks change between two moments a day apart at most, None: never."""
    before = after.astimezone(zone).utcoffset()
    if until.astimezone(zone).utcoffset() == before:
        return None
    # Clocks change at whole seconds.
    low, high = after.replace(microsecond=0), until
    while high - low > _SECOND:
        middle = low + timedelta(seconds=(high - low) // _SECOND // 2)
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


KIND = Gate("quiet_hours", rank=44, kinds=frozenset({Kind.UTILITY, Kind.MARKETING}), ask=_ask)
