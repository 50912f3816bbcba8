"""When a campaign begins, in which hours it sends, how fast: over changes of clocks as well."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from switchboard.campaigns.times import Ramp, SendWindow, allowance, instant, opening

START = datetime(2031, 3, 3, 12, 0, tzinfo=UTC)
ZONES = ("America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo", "UTC")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "zone", "expected"),
    [
        ("2031-01-15T09:00", "America/New_York", "2031-01-15T14:00"),
        ("2031-07-15T09:00", "America/New_York", "2031-07-15T13:00"),
        # 02:30 is left out on 9 March: an hour later by the wall.
        ("2031-03-09T02:30", "America/New_York", "2031-03-09T07:30"),
        # 01:30 comes twice on 2 November: the first.
        ("2031-11-02T01:30", "America/New_York", "2031-11-02T05:30"),
        ("2031-01-15T09:00+02:00", "America/New_York", "2031-01-15T07:00"),
        ("2031-01-15t09:00:30z", "America/New_York", "2031-01-15T09:00:30"),
    ],
)
def test_a_moment_goes_by_its_offset_or_by_the_clock_of_the_zone(
    written: str, zone: str, expected: str
) -> None:
    assert instant(written, zone) == utc(expected)


def window(first: str, until: str, *weekdays: int) -> SendWindow:
    given = {"from": first, "until": until, **({"weekdays": list(weekdays)} if weekdays else {})}
    return SendWindow.model_validate(given)


@pytest.mark.parametrize(
    ("at", "opens"),
    [
        # The day before the change: New York is five hours behind, after it four.
        ("2031-03-08T14:00", None),
        ("2031-03-09T00:59", None),
        ("2031-03-09T01:00", "2031-03-09T13:00"),
        ("2031-03-09T12:59", "2031-03-09T13:00"),
        ("2031-03-09T13:00", None),
        ("2031-11-02T13:59", "2031-11-02T14:00"),
    ],
)
def test_a_window_opens_by_the_wall_whatever_the_clocks_do(at: str, opens: str | None) -> None:
    found = opening(window("09:00", "20:00"), "America/New_York", utc(at))
    assert found == (None if opens is None else utc(opens))


def test_a_window_knows_the_days_of_the_week() -> None:
    # Friday evening: Monday.
    found = opening(window("09:00", "18:00", 1, 2, 3, 4, 5), "UTC", utc("2031-03-07T18:00"))
    assert found == utc("2031-03-10T09:00")


def test_a_window_may_last_to_midnight() -> None:
    late = window("20:00", "24:00")
    assert opening(late, "UTC", utc("2031-03-07T23:59:59")) is None
    assert opening(late, "UTC", utc("2031-03-08T00:00")) == utc("2031-03-08T20:00")


@pytest.mark.parametrize("wrong", [("20:00", "09:00"), ("09:00", "09:00"), ("9:00", "10:00")])
def test_a_window_that_never_opens_is_refused(wrong: tuple[str, str]) -> None:
    with pytest.raises(ValidationError):
        window(*wrong)


@given(
    zone=st.sampled_from(ZONES),
    minutes=st.integers(0, 366 * 24 * 60),
    first=st.integers(0, 22),
    hours=st.integers(1, 23),
    weekdays=st.sets(st.integers(1, 7), min_size=1),
)
def test_what_opens_is_inside_and_the_second_before_is_not(
    zone: str, minutes: int, first: int, hours: int, weekdays: set[int]
) -> None:
    open_ = window(f"{first:02d}:00", f"{min(first + hours, 24):02d}:00", *sorted(weekdays))
    at = datetime(2031, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    opens = opening(open_, zone, at)
    moment = at if opens is None else opens
    here = moment.astimezone(ZoneInfo(zone))
    assert here.isoweekday() in weekdays
    assert opening(open_, zone, moment) is None
    if opens is not None:
        assert at < opens <= at + timedelta(days=8)
        assert opening(open_, zone, opens - timedelta(seconds=1)) == opens
    # By the wall clock, but in the hour after a change, which one side of it has and the other not.
    if here.utcoffset() == (here - timedelta(hours=2)).utcoffset() and (
        (moment - timedelta(hours=2)).astimezone(ZoneInfo(zone)).utcoffset() == here.utcoffset()
    ):
        assert open_.from_ <= f"{here:%H:%M}"
        assert open_.until > f"{here:%H:%M}"


def test_a_ramp_doubles() -> None:
    ramp = Ramp(per_minute=10, doubles_every_minutes=5)
    assert [round(ramp.rate(minutes * 60) * 60) for minutes in (0, 4, 5, 10, 15)] == [
        10,
        10,
        20,
        40,
        80,
    ]


def test_a_ramp_lets_through_what_the_time_since_the_last_slice_allows() -> None:
    ramp = Ramp(per_minute=60)
    now = START + timedelta(seconds=30)
    assert allowance(ramp, started_at=START, paid_until=None, now=now)[0] == 30
    paid = START + timedelta(seconds=20)
    assert allowance(ramp, started_at=START, paid_until=paid, now=now)[0] == 10
    # What nobody asked for in time is lost but for a minute's.
    later = START + timedelta(hours=5)
    assert allowance(ramp, started_at=START, paid_until=paid, now=later)[0] == 60


def test_a_slow_ramp_comes_to_its_next_message() -> None:
    ramp = Ramp(per_minute=1)
    paid: datetime | None = None
    gone = 0
    for second in range(0, 601, 7):
        now = START + timedelta(seconds=second)
        allowed, base, rate = allowance(ramp, started_at=START, paid_until=paid, now=now)
        if allowed:
            gone += allowed
            paid = base + timedelta(seconds=allowed / rate)
    assert gone == 9
