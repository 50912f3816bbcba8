"""What a campaign will cost, where its cap stops it, what it has cost."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from switchboard.campaigns import control, costs
from switchboard.kernel.errors import Unprocessable
from tests.campaigning import Campaigns, campaigns
from tests.databases import ClonedDatabase


@pytest.fixture
def at(database: ClonedDatabase) -> Iterator[Campaigns]:
    with campaigns(database) as made:
        yield made


def rate(at: Campaigns, country: str, amount: str, *, currency: str = "EUR") -> None:
    at.place.everything.execute(
        "insert into messaging.price_rates (tenant_id, currency, valid_from, category, country,"
        " market, amount) values (%s, %s, '2020-01-01', 'marketing', %s, %s, %s)",
        (at.tenant, currency, country, country, amount),
    )


def test_before_the_start_everybody_in_the_audience_counts(at: Campaigns) -> None:
    at.people(10)
    rate(at, "DE", "0.05")
    campaign = at.create(currency="EUR")
    shown = costs.show_cost(at.tools, at.tenant, campaign)
    (euros,) = shown.expected.by_currency
    assert (euros.currency, Decimal(euros.amount), euros.messages) == ("EUR", Decimal("0.5"), 10)
    assert (shown.actual.messages, shown.complete) == (0, True)


def test_the_estimate_is_written_down_when_it_begins(at: Campaigns) -> None:
    at.people(4)
    at.people(3, first=100, state="pending")
    rate(at, "DE", "0.05")
    campaign = at.start(at.create(currency="EUR"))
    at.work()
    shown = at.show(campaign).campaign
    assert (shown.estimated_cost, shown.spent) == (Decimal("0.2"), Decimal("0.2"))
    prices = {row["estimated_price"] for row in at.place.rows("campaign_recipients", status="sent")}
    assert prices == {Decimal("0.05")}


@pytest.mark.parametrize("currency", [None, "MXN"])
def test_what_has_no_rate_is_unknown_and_not_nothing(at: Campaigns, currency: str | None) -> None:
    at.people(2)
    rate(at, "DE", "0.05")
    campaign = at.start(at.create(currency=currency))
    at.work()
    assert at.show(campaign).campaign.estimated_cost is None
    rows = at.place.rows("campaign_recipients")
    assert {row["estimated_price"] for row in rows} == {None}


def test_the_cap_is_never_passed_and_can_be_raised(at: Campaigns) -> None:
    phones = at.people(30)
    rate(at, "DE", "0.05")
    campaign = at.start(at.create(currency="EUR", spending_cap="0.52"))
    at.work()
    shown = at.show(campaign)
    assert (shown.campaign.status, shown.campaign.pause_reason) == ("paused", "spending_cap")
    assert shown.campaign.pause_detail == "0.50 of 0.52 EUR"
    assert "Raise spending_cap" in (shown.what_to_do or "")
    # What the cap has room for has gone out.
    assert at.meta.phones == dict.fromkeys(phones[:10], 1)
    at.resume(campaign)
    at.work()
    assert at.show(campaign).campaign.status == "paused"
    assert len(at.meta.taken) == 10
    at.change(campaign, spending_cap="10")
    at.resume(campaign)
    at.work()
    assert at.meta.phones == dict.fromkeys(phones, 1)
    at.check(campaign)


def test_what_failed_and_is_sent_again_counts_once_for_the_cap(at: Campaigns) -> None:
    phones = at.people(4)
    rate(at, "DE", "0.0625")
    campaign = at.start(at.create(currency="EUR", spending_cap="0.2"))
    at.meta.answer = lambda phone: 131026 if phone in phones[:2] else None
    at.work()
    shown = at.show(campaign).campaign
    assert (shown.spent, shown.pause_detail) == (Decimal("0.1875"), "0.1875 of 0.20 EUR")
    at.meta.answer = lambda _: None
    assert control.retry_failed(at.tools, at.tenant, campaign).retried == 2
    at.resume(campaign)
    at.work()
    shown = at.show(campaign).campaign
    assert (shown.spent, shown.pause_detail) == (Decimal("0.1875"), "0.1875 of 0.20 EUR")
    assert at.meta.phones == dict.fromkeys(phones[:3], 1)
    # Who gets none after all has cost nothing either.
    at.statuses(campaign, "failed", phones={phones[0]})
    assert control.retry_failed(at.tools, at.tenant, campaign).retried == 1
    at.place.everything.execute(
        "update messaging.contacts set deleted_at = now() where id = %s", (at.contact(phones[0]),)
    )
    at.resume(campaign)
    at.work()
    assert at.show(campaign).campaign.spent == Decimal("0.1875")
    assert at.meta.phones == dict.fromkeys(phones, 1)
    assert at.show(campaign).campaign.status == "completed"


def test_a_cap_that_could_stop_nothing_lets_nothing_begin(at: Campaigns) -> None:
    phones = at.people(3)
    rate(at, "DE", "0.05")
    campaign = at.create(currency="MXN", spending_cap="100")
    with pytest.raises(Unprocessable, match="no price of marketing messages in MXN") as refused:
        at.start(campaign)
    assert refused.value.field == "spending_cap"
    assert at.show(campaign).campaign.status == "draft"
    rate(at, "DE", "1.05", currency="MXN")
    at.start(campaign)
    at.work()
    assert at.meta.phones == dict.fromkeys(phones, 1)


def test_afterwards_it_is_what_meta_told(at: Campaigns) -> None:
    at.people(3)
    rate(at, "DE", "0.05")
    campaign = at.start(at.create(currency="EUR"))
    at.work()
    shown = costs.show_cost(at.tools, at.tenant, campaign)
    assert (shown.actual.messages, shown.actual.undelivered) == (3, 3)
    # Delivered, and Meta has named no price.
    at.statuses(campaign, "delivered")
    shown = costs.show_cost(at.tools, at.tenant, campaign)
    assert (shown.actual.undelivered, shown.actual.unknown) == (0, 3)
    assert (shown.expected.messages, shown.complete) == (0, True)
