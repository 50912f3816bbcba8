"""The gate `quiet_hours`."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from switchboard.policy import Kind
from switchboard.policy.facts import Person
from switchboard.policy.gates._gate import Defer
from switchboard.policy.gates.quiet_hours import KIND
from tests.policy_facts import facts

NIGHT = ("22:00:00", "08:00:00")
BERLIN, NEW_YORK, KOLKATA = "Europe/Berlin", "America/New_York", "Asia/Kolkata"


def until(
    at: str, quiet: tuple[str, str], zone: str | None, recipient: str = "4915112345678"
) -> str | None:
    """Return the end of the quiet hours at a time of UTC, as UTC; None: they do not hold."""
    person = Person(opt_in="opted_in", quiet=quiet, timezone=zone)
    time = datetime.fromisoformat(at).replace(tzinfo=UTC)
    finding = KIND.ask(facts(at=time, person=person, recipient=recipient))
    if finding is None:
        return None
    assert isinstance(finding, Defer)
    assert finding.until is not None
    assert finding.until > time
    return finding.until.astimezone(UTC).isoformat(timespec="minutes")[:16]


@pytest.mark.parametrize(
    ("at", "zone", "end"),
    [
        ("2031-01-10T20:59", BERLIN, None),  # 21:59 there
        ("2031-01-10T21:00", BERLIN, "2031-01-11T07:00"),
        ("2031-01-11T03:00", BERLIN, "2031-01-11T07:00"),
        ("2031-01-11T06:59", BERLIN, "2031-01-11T07:00"),
        ("2031-01-11T07:00", BERLIN, None),
        ("2031-01-10T21:00", NEW_YORK, None),  # 16:00 there
        ("2031-01-11T03:30", NEW_YORK, "2031-01-11T13:00"),
        ("2031-01-10T17:00", KOLKATA, "2031-01-11T02:30"),
    ],
)
def test_hours_over_midnight_end_in_the_persons_morning(
    at: str, zone: str, end: str | None
) -> None:
    assert until(at, NIGHT, zone) == end


@pytest.mark.parametrize(
    ("at", "end"),
    [
        ("2031-01-10T11:59", None),
        ("2031-01-10T12:00", "2031-01-10T14:00"),
        ("2031-01-10T14:00", None),
    ],
)
def test_hours_of_one_day(at: str, end: str | None) -> None:
    assert until(at, ("13:00:00", "15:00:00"), BERLIN) == end


def test_the_same_time_twice_is_no_hours() -> None:
    assert until("2031-01-10T12:00", ("13:00:00", "13:00:00"), BERLIN) is None


@pytest.mark.parametrize(
    ("recipient", "end"),
    [
        ("4915112345678", "2031-01-11T07:00"),  # Germany
        ("12125550123", "2031-01-11T13:00"),  # New York, by its area code
        ("13105550123", "2031-01-11T16:00"),  # Los Angeles
        ("5215512345678", "2031-01-11T14:00"),  # Mexico, in its old form
        ("79161234567", "2031-01-11T05:00"),  # Moscow, where most live
        ("IN.9001", "2031-01-11T02:30"),  # a business-scoped user id tells the country
        ("99999999999", "2031-01-11T08:00"),  # nobody knows: UTC
    ],
)
def test_without_a_zone_of_their_own_the_number_tells_it(recipient: str, end: str) -> None:
    # Twenty-three and a half hours of quiet: whatever the zone, it is the end that tells it.
    found = until("2031-01-10T17:00", ("08:00:30", "08:00:00"), None, recipient)
    assert found is not None
    assert found[11:] == end[11:]


def test_a_zone_that_no_database_has_is_the_numbers() -> None:
    assert until("2031-01-10T21:00", NIGHT, "Mars/Olympus") == "2031-01-11T07:00"


def test_an_end_that_the_clocks_skip_is_the_moment_of_the_change() -> None:
    # Berlin, 30 March 2031: after 1:59 comes 3:00.
    assert until("2031-03-30T00:30", ("22:00:00", "02:30:00"), BERLIN) == "2031-03-30T01:00"


def test_an_hour_that_comes_twice_is_quiet_twice() -> None:
    # Berlin, 26 October 2031: after 2:59 comes 2:00 again.
    quiet = ("22:00:00", "02:30:00")
    assert until("2031-10-25T23:00", quiet, BERLIN) == "2031-10-26T00:30"
    assert until("2031-10-26T00:30", quiet, BERLIN) is None
    assert until("2031-10-26T01:10", quiet, BERLIN) == "2031-10-26T01:30"


def test_hours_that_begin_in_the_hour_that_comes_twice_stop_when_the_clock_goes_back() -> None:
    quiet = ("02:30:00", "06:00:00")
    assert until("2031-10-26T00:45", quiet, BERLIN) == "2031-10-26T01:00"
    assert until("2031-10-26T01:30", quiet, BERLIN) == "2031-10-26T05:00"


def test_replies_and_codes_do_not_wait() -> None:
    assert KIND.kinds == {Kind.UTILITY, Kind.MARKETING}
    assert KIND.ask(facts(person=None)) is None
