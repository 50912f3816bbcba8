"""A campaign that begins at its time, sends in its hours, and no faster than it may."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from switchboard import outbox
from switchboard.campaigns import feeding
from switchboard.kernel.errors import Conflict, Unprocessable
from tests.campaigning import Campaigns, campaigns
from tests.databases import ClonedDatabase


@pytest.fixture
def at(database: ClonedDatabase) -> Iterator[Campaigns]:
    with campaigns(database) as made:
        yield made


def turn_to(at: Campaigns, time: datetime) -> None:
    at.clock.turn((time - at.clock.now).total_seconds())


def change_of_clocks(at: Campaigns) -> datetime:
    """The next second Sunday of March, when New York's clocks go forward, at midnight UTC."""
    day = datetime(at.clock.now.year + 1, 3, 8, tzinfo=UTC)
    return day + timedelta(days=(7 - day.isoweekday()) % 7)


def test_it_begins_by_the_clock_of_its_zone_after_a_change(at: Campaigns) -> None:
    at.people(2)
    sunday = change_of_clocks(at)
    turn_to(at, sunday - timedelta(days=1))
    campaign = at.create(timezone="America/New_York")
    shown = at.schedule(campaign, f"{sunday:%Y-%m-%d}T09:00")
    # Nine in the morning is 13:00 UTC now; yesterday it was 14:00.
    begins = sunday + timedelta(hours=13)
    assert shown.campaign.scheduled_at == begins
    turn_to(at, begins - timedelta(minutes=2))
    at.work(60)
    assert at.meta.taken == []
    at.work(180)
    assert len(at.meta.taken) == 2
    assert at.show(campaign).campaign.started_at >= begins  # type: ignore[operator]


def test_a_new_time_counts_whether_it_is_earlier_or_later(at: Campaigns) -> None:
    at.people(1)
    campaign = at.create()
    now = at.clock.now
    at.schedule(campaign, (now + timedelta(hours=5)).isoformat())
    at.schedule(campaign, (now + timedelta(hours=2)).isoformat())
    at.change(campaign, scheduled_at=(now + timedelta(hours=1)).isoformat())
    at.clock.turn(3700)
    at.work(60)
    assert len(at.meta.taken) == 1


def test_what_is_over_cannot_be_scheduled(at: Campaigns) -> None:
    campaign = at.create()
    with pytest.raises(Unprocessable, match="scheduled_at"):
        at.schedule(campaign)
    with pytest.raises(Unprocessable, match="over"):
        at.schedule(campaign, (at.clock.now - timedelta(seconds=1)).isoformat())


def test_after_its_start_only_limits_can_be_changed(at: Campaigns) -> None:
    at.people(1)
    campaign = at.start(at.create(ramp={"per_minute": 1}))
    at.work(1)
    with pytest.raises(Conflict) as refused:
        at.change(campaign, name="Autumn")
    assert refused.value.field == "name"
    assert at.change(campaign, ramp=None, failure_limit=5).campaign.failure_limit == 5


def test_it_sends_in_its_hours_only(at: Campaigns) -> None:
    phones = at.people(300)
    noon = (at.clock.now + timedelta(days=2)).replace(hour=12, minute=0, second=0)
    turn_to(at, noon)
    campaign = at.create(send_window={"from": "12:00", "until": "12:02"}, ramp={"per_minute": 60})
    at.start(campaign)
    at.work(118)
    sent = len(at.meta.taken)
    assert 60 <= sent <= 120
    for _ in range(22):
        at.clock.turn(3540)
        at.work(60)
    assert len(at.meta.taken) <= 120
    at.check(campaign)
    for _ in range(3):
        at.clock.turn((noon - at.clock.now).total_seconds() % 86_400)
        at.work(300)
    assert at.meta.phones == dict.fromkeys(phones, 1)
    assert at.show(campaign).campaign.status == "completed"


def test_what_waits_on_the_road_stays_there_when_the_window_closes(at: Campaigns) -> None:
    at.people(400)
    at.place.set_number(throughput="STANDARD")
    noon = (at.clock.now + timedelta(days=2)).replace(hour=12, minute=0, second=0)
    turn_to(at, noon - timedelta(seconds=2))
    campaign = at.create(send_window={"from": "11:00", "until": "12:00"})
    at.start(campaign)
    at.work(60)
    counts = at.counts(campaign)
    assert 0 < counts["sent"] < 400
    for _ in range(20):
        at.clock.turn(3540)
        at.work(60)
    assert at.counts(campaign)["sent"] == counts["sent"]
    turn_to(at, noon + timedelta(hours=23))
    at.work(120)
    assert at.counts(campaign) == {"sent": 400}
    times = at.place.everything.execute(
        "select distinct extract(hour from accepted_at at time zone 'UTC')"
        " from messaging.whatsapp_messages"
    ).fetchall()
    assert times == [(11,)]


def test_what_cannot_leave_in_time_is_not_put_on_the_road(at: Campaigns) -> None:
    at.people(400)
    at.place.set_number(throughput="STANDARD")
    noon = (at.clock.now + timedelta(days=2)).replace(hour=12, minute=0, second=0)
    turn_to(at, noon - timedelta(seconds=2))
    campaign = at.start(at.create(send_window={"from": "11:00", "until": "12:00"}))
    feeding.run_campaign(at.tools, at.tenant, campaign, at.clock.monotonic() + 60)
    assert at.counts(campaign) == {"queued": 160, "pending": 240}


def test_what_waits_for_somebodys_quiet_hours_does_not_leave_after_hours(at: Campaigns) -> None:
    at.people(3)
    at.place.everything.execute(
        "insert into messaging.notification_preferences (tenant_id, contact_id,"
        " quiet_hours_enabled, quiet_hours_start, quiet_hours_end, timezone)"
        " select tenant_id, id, true, '10:30', '12:30', 'UTC' from messaging.contacts"
    )
    noon = (at.clock.now + timedelta(days=2)).replace(hour=12, minute=0, second=0)
    turn_to(at, noon - timedelta(minutes=2))
    campaign = at.start(at.create(send_window={"from": "11:00", "until": "12:00"}))
    at.work(3 * 3600)
    assert at.meta.taken == []
    assert at.counts(campaign) == {"queued": 3}


def test_what_was_put_off_does_not_leave_after_hours(at: Campaigns) -> None:
    phones = at.people(3)
    noon = (at.clock.now + timedelta(days=2)).replace(hour=12, minute=0, second=0)
    turn_to(at, noon - timedelta(seconds=30))
    # Meta cannot be reached: they are tried again, later and later.
    at.meta.answer = lambda _: "connect"
    campaign = at.start(at.create(send_window={"from": "11:00", "until": "12:00"}))
    feeding.run_campaign(at.tools, at.tenant, campaign, at.clock.monotonic() + 60)
    # No run of the campaign comes at noon, workers send on.
    while at.clock.now < noon + timedelta(minutes=2):
        outbox.run_due(at.tools, at.clock.monotonic() + 60)
        at.clock.turn(1)
    at.meta.answer = lambda _: None
    outbox.run_due(at.tools, at.clock.monotonic() + 60)
    assert at.counts(campaign) == {"queued": 3}
    opens = {row["due_at"] for row in at.place.rows("send_attempts")}
    assert opens == {noon + timedelta(hours=23)}
    at.work(3600)
    assert at.meta.taken == []
    turn_to(at, noon + timedelta(hours=23))
    at.work(120)
    assert at.meta.phones == dict.fromkeys(phones, 1)


def test_a_ramp_begins_slowly(at: Campaigns) -> None:
    at.people(200)
    campaign = at.start(at.create(ramp={"per_minute": 10, "doubles_every_minutes": 5}))
    at.work(300)
    assert 35 <= len(at.meta.taken) <= 50
    at.work(300)
    assert 120 <= len(at.meta.taken) <= 150
    at.work(600)
    assert at.show(campaign).campaign.status == "completed"


def test_progress_tells_the_rate_and_the_time_left(at: Campaigns) -> None:
    at.people(600)
    campaign = at.start(at.create(ramp={"per_minute": 60}))
    at.work(240)
    progress = at.show(campaign).progress
    assert progress.rate_per_minute is not None
    assert 50 <= progress.rate_per_minute <= 70
    assert progress.seconds_left is not None
    assert 280 <= progress.seconds_left <= 450
    at.pause(campaign)
    assert at.show(campaign).progress.rate_per_minute is None
