"""Quiet hours: what nobody waits for goes out when they are over, in the person's own time.

The zone is the person's, else that of the number. An end that a change of clocks skips is the
moment an hour later on the clock; of an end that comes twice the first counts.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from switchboard.kernel.phones import zone_of
from switchboard.policy.facts import Facts, Kind
from switchboard.policy.gates._gate import Defer, Finding, Gate


def _ask(facts: Facts) -> Finding:
    if facts.person is None or facts.person.quiet is None:
        return None
    start, end = (time.fromisoformat(text) for text in facts.person.quiet)
    zone = _zone(facts.person.timezone) or _zone(zone_of(facts.recipient)) or ZoneInfo("UTC")
    until = _quiet_until(facts.at, zone, start, end)
    if until is None:
        return None
    return Defer("quiet_hours", f"the person's quiet hours ({zone.key})", until)


def _zone(name: str | None) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # A name that no database of zones has, however it was written down.
        return None


def _quiet_until(at: datetime, zone: ZoneInfo, start: time, end: time) -> datetime | None:
    """Return when the quiet hours that `at` lies in are over, None outside of them."""
    local = at.astimezone(zone)
    clock = local.time()
    if start < end:
        inside, days = start <= clock < end, 0
    else:
        # Over midnight; the same time twice is no hours at all.
        inside, days = start != end and (clock >= start or clock < end), int(clock >= start)
    if not inside:
        return None
    over = datetime.combine(local.date() + timedelta(days=days), end, zone).astimezone(UTC)
    # In the hour that comes twice: its first turn is over, and the clock says it is not.
    return over if over > at else at + timedelta(hours=1)


KIND = Gate("quiet_hours", rank=44, kinds=frozenset({Kind.UTILITY, Kind.MARKETING}), ask=_ask)
