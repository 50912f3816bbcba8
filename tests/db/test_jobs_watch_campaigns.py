"""Nothing that a campaign waits for depends on one job's luck."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from switchboard.jobs import watch_campaigns
from switchboard.jobs._kind import Context, NoArgs
from switchboard.store import campaigns as store
from tests.campaigning import Campaigns, campaigns
from tests.databases import ClonedDatabase


@pytest.fixture
def at(database: ClonedDatabase) -> Iterator[Campaigns]:
    with campaigns(database) as made:
        yield made


def watch(at: Campaigns) -> int:
    """Run the job, as a tick does, and return how many runs it put in."""
    context = Context(at.tools, at.tenant, 1, 1, at.clock.monotonic() + 60)
    result = watch_campaigns.run(context, NoArgs()).result
    assert result is not None
    return int(result["put"])


def lose_runs(at: Campaigns) -> None:
    at.place.everything.execute(
        "update messaging.scheduled_jobs set status = 'failed', finished_at = now()"
        " where job_type = 'run_campaign'"
    )


def test_a_campaign_whose_run_failed_for_good_goes_on(at: Campaigns) -> None:
    phones = at.people(3)
    campaign = at.start(at.create())
    lose_runs(at)
    assert watch(at) == 1
    assert watch(at) == 0
    at.work()
    assert at.meta.phones == dict.fromkeys(phones, 1)
    assert at.show(campaign).campaign.status == "completed"
    assert watch(at) == 0


def test_one_that_is_scheduled_waits_for_its_time(at: Campaigns) -> None:
    at.people(1)
    campaign = at.create()
    at.schedule(campaign, at.clock.now.replace(year=2040).isoformat())
    lose_runs(at)
    assert watch(at) == 1
    at.work(60)
    assert at.show(campaign).campaign.status == "scheduled"
    assert at.meta.taken == []


def test_a_pause_that_was_cut_short_is_ended(at: Campaigns) -> None:
    phones = at.people(300)
    campaign = at.start(at.create())

    def die(_: object) -> None:
        # As the process that pauses does after its first commit.
        at.meta.before = lambda _: None
        with at.real().db.transaction(at.tenant) as connection:
            store.pause(
                connection, at.tenant, campaign, reason="by_hand", detail="", now=at.clock.now
            )
        lose_runs(at)

    at.meta.before = die
    at.work(0.5)
    lose_runs(at)
    assert watch(at) == 1
    at.work(60)
    assert watch(at) == 0
    sent = len(at.meta.taken)
    at.work(300)
    assert len(at.meta.taken) == sent
    at.resume(campaign)
    at.work()
    assert at.meta.phones == dict.fromkeys(phones, 1)
    at.check(campaign)
