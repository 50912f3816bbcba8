"""Quiet hours over a simulated year, in zones whose clocks change each in its own way.

What is told is compared with a calendar that reads the clock on the wall every five minutes, and
knows nothing of offsets: a deferred message goes out at the first moment that is not quiet.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import settings as budget
from hypothesis import strategies as st

from switchboard.policy import Allowed, Deferred, Kind, decide
from switchboard.policy.facts import Person
from tests.policy_facts import facts

#: An hour at two in the morning, at two and on other days, at midnight (the hour from 0:00 is
#: skipped), by half an hour, and by quarters off the hour.
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(minutes=5)
STEPS = 365 * 24 * 12
#: Quiet hours end a day later at the most, changes of clocks or not.
TAIL = 2 * 24 * 12


@cache
def wall(zone: str) -> Sequence[int]:
    """Return the minutes since midnight that the wall shows, every five minutes of the year."""
    place = ZoneInfo(zone)
    read = ((BEGIN + n * STEP).astimezone(place) for n in range(STEPS + TAIL))
    return [clock.hour * 60 + clock.minute for clock in read]


@cache
def changes(zone: str) -> list[int]:
    """Return the steps at which the wall does not go on by five minutes."""
    clocks = wall(zone)
    return [
        n + 1 for n, (one, next_one) in enumerate(pairwise(clocks)) if (next_one - one) % 1440 != 5
    ]


def free_at(zone: str, start: int, end: int) -> list[int]:
    """Return for each step the first one from it on whose wall shows no quiet hour."""
    inside = (
        [start <= clock < end for clock in wall(zone)]
        if start <= end
        else [clock >= start or clock < end for clock in wall(zone)]
    )
    found = [0] * len(inside)
    free = len(inside)
    for n in range(len(inside) - 1, -1, -1):
        free = free if inside[n] else n
        found[n] = free
    return found


def looked_at(zone: str, stride: int) -> list[int]:
    """Return steps all over the year, and every one near a change of clocks."""
    near = {n for change in changes(zone) for n in range(change - 150, change + 150)}
    return sorted({*range(0, STEPS, stride), *(n for n in near if 0 <= n < STEPS)})


def clock_of(minutes: int) -> str:
    return time(minutes // 60, minutes % 60).isoformat()


def ask(at: datetime, zone: str, start: int, end: int) -> datetime | None:
    """Return until when a utility message waits that is decided at `at`, None: it goes out."""
    quiet = (clock_of(start), clock_of(end))
    person = Person(opt_in="opted_in", quiet=quiet, timezone=zone)
    verdict = decide(facts(at=at, person=person), Kind.UTILITY)
    if isinstance(verdict, Allowed):
        return None
    assert isinstance(verdict, Deferred)
    assert verdict.reason == "quiet_hours"
    return verdict.until


def test_each_zones_clocks_change_twice_in_the_year() -> None:
    assert {zone: len(changes(zone)) for zone in ZONES} == dict.fromkeys(ZONES, 2)


TIMES = st.integers(0, 287).map(lambda n: n * 5)


@pytest.mark.parametrize("zone", ZONES)
@given(start=TIMES, end=TIMES, stride=st.integers(150, 400))
@example(start=22 * 60, end=7 * 60, stride=97)
@example(start=22 * 60, end=2 * 60 + 30, stride=200)  # ends in the hour that is skipped or twice
@example(start=2 * 60 + 30, end=6 * 60, stride=200)  # begins in it
@example(start=2 * 60 + 10, end=2 * 60 + 40, stride=200)  # lies in it
@example(start=23 * 60 + 30, end=30, stride=200)  # the same at midnight
@example(start=2 * 60 + 20, end=2 * 60 + 10, stride=200)  # all day but ten minutes of it
@example(start=0, end=23 * 60 + 55, stride=200)
@example(start=9 * 60, end=9 * 60, stride=200)  # none
@budget(max_examples=8)
def test_what_is_deferred_goes_out_at_the_first_moment_that_is_not_quiet(
    zone: str, start: int, end: int, stride: int
) -> None:
    free = free_at(zone, start, end)
    for n in looked_at(zone, stride):
        at = BEGIN + n * STEP
        until = ask(at, zone, start, end)
        expected = None if free[n] == n else BEGIN + free[n] * STEP
        assert until == expected, (at, until, expected)
        if until is not None:
            # It is asked again when it is due: then it goes out, and a moment before it would not.
            assert ask(until, zone, start, end) is None
            assert ask(until - timedelta(microseconds=1), zone, start, end) == until


@pytest.mark.parametrize("zone", ZONES)
def test_a_moment_between_the_seconds_waits_no_longer(zone: str) -> None:
    for change in changes(zone):
        for minutes in (-90, -30, -1, 0, 1, 30, 90):
            whole = BEGIN + change * STEP + timedelta(minutes=minutes)
            for at in (whole, whole + timedelta(microseconds=1), whole - timedelta(microseconds=1)):
                until = ask(at, zone, 21 * 60 + 3, 7 * 60 + 7)
                if until is not None:
                    assert until.microsecond == until.second == 0
                    local = until.astimezone(ZoneInfo(zone))
                    assert (local.hour, local.minute) == (7, 7)
                    assert timedelta(0) < until - at < timedelta(hours=12)
