"""A large campaign's cost is counted by a job: whole, whatever interrupts it, now and then."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from uuid import UUID

import pytest

from switchboard.campaigns import control, costs, counting
from switchboard.campaigns.costs import CampaignCost
from switchboard.jobs import count_campaign_cost
from switchboard.jobs._kind import Context
from switchboard.jobs.count_campaign_cost import CountCampaignCost
from tests.campaigning import Campaigns, campaigns
from tests.databases import ClonedDatabase


@pytest.fixture
def at(database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Campaigns]:
    monkeypatch.setattr(counting, "SLICE", 4)
    monkeypatch.setattr(counting, "TURN_S", 0.0)
    with campaigns(database) as made:
        made.place.everything.execute(
            "insert into messaging.price_rates (tenant_id, currency, valid_from, category, country,"
            " market, from_volume, amount) values (%(t)s, 'EUR', '2020-01-01', 'marketing', 'DE',"
            " 'DE', 0, 0.5), (%(t)s, 'EUR', '2020-01-01', 'marketing', 'DE', 'DE', 7, 0.1)",
            {"t": made.tenant},
        )
        yield made


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "AT_ONCE", 9)


def price(at: Campaigns) -> None:
    """Meta names the price of all that it has told of."""
    at.place.everything.execute(
        "update messaging.message_status_events set detail = detail ||"
        """ '{"pricing": {"billable": true, "category": "marketing", "type": "regular"}}'"""
    )


def shown(at: Campaigns, campaign: UUID) -> tuple[int, int, Decimal | None, bool]:
    """Return messages, undelivered, euros, whether it is all."""
    cost: CampaignCost = costs.show_cost(at.tools, at.tenant, campaign)
    amounts = [Decimal(one.amount) for one in cost.actual.by_currency]
    return (
        cost.actual.messages,
        cost.actual.undelivered,
        amounts[0] if amounts else None,
        cost.complete,
    )


def waiting(at: Campaigns) -> int:
    """Return how many counts wait to be made."""
    rows = at.place.rows("scheduled_jobs", job_type="count_campaign_cost")
    return sum(row["status"] == "pending" for row in rows)


@pytest.mark.usefixtures("large")
def test_all_are_counted_however_often_the_count_is_cut_short(at: Campaigns) -> None:
    phones = at.people(10)
    campaign = at.start(at.create())
    at.work()
    at.statuses(campaign, "delivered", phones=set(phones[:9]))
    price(at)
    assert shown(at, campaign) == (0, 0, None, False)
    assert shown(at, campaign) == (0, 0, None, False)
    assert waiting(at) == 1
    # A worker dies after each slice: the next one goes on behind it.
    deadline = at.clock.monotonic() + 50
    for counted in (4, 8):
        assert counting.go_on(at.tools, at.tenant, campaign, deadline) == at.clock.now
        assert shown(at, campaign)[0] == counted
    at.work()
    # Seven at the first tier and two at the second, wherever a slice ended.
    assert shown(at, campaign) == (10, 1, Decimal("3.7"), True)
    assert waiting(at) == 0
    # What is told now is in the next count, which somebody asks for.
    at.statuses(campaign, "delivered", phones=set(phones))
    price(at)
    assert shown(at, campaign) == (10, 1, Decimal("3.7"), True)
    assert waiting(at) == 0
    at.clock.turn(counting.FRESH.total_seconds())
    assert shown(at, campaign) == (10, 1, Decimal("3.7"), True)
    at.work()
    assert shown(at, campaign) == (10, 0, Decimal("3.8"), True)


def test_a_slice_that_takes_too_long_is_tried_again_and_stops_no_worker(
    at: Campaigns, monkeypatch: pytest.MonkeyPatch
) -> None:
    at.people(1)
    campaign = at.start(at.create())
    at.work()
    monkeypatch.setattr(counting, "SLICE_MS", 1)
    monkeypatch.setattr(counting, "_slice", lambda link, *_: link.execute("select pg_sleep(1)"))
    context = Context(at.tools, at.tenant, 1, 1, at.clock.monotonic() + 60)
    with pytest.raises(TimeoutError):
        count_campaign_cost.run(context, CountCampaignCost(campaign_id=campaign))
    assert at.place.rows("campaign_costs") == []


def test_one_who_was_written_to_twice_and_got_both_has_cost_twice(at: Campaigns) -> None:
    phones = at.people(5)
    campaign = at.start(at.create())
    at.work()
    at.statuses(campaign, "delivered", phones=set(phones[1:]))
    at.statuses(campaign, "failed", phones={phones[0]})
    assert control.retry_failed(at.tools, at.tenant, campaign).retried == 1
    at.work()
    price(at)
    assert shown(at, campaign) == (5, 1, Decimal(2), True)
    at.statuses(campaign, "delivered", phones={phones[0]})
    price(at)
    assert at.meta.phones[phones[0]] == 2
    assert shown(at, campaign) == (6, 0, Decimal(3), True)
