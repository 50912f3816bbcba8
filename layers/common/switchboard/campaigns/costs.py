"""What a campaign will cost, and what it has cost; what nobody knows is said to be unknown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from switchboard import prices
from switchboard.campaigns.audience.kinds import Audience, select_people
from switchboard.campaigns.counting import AT_ONCE, count_now, last_count
from switchboard.kernel.arguments import Arguments, read
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import NotFound, Unprocessable
from switchboard.kernel.phones import country_of
from switchboard.prices import Cost, CostShown
from switchboard.prices.free import category_of
from switchboard.prices.rates import Meters, Rates
from switchboard.store import campaigns as store
from switchboard.store import prices as table
from switchboard.store import recipients
from switchboard.store.audiences import People
from switchboard.tools import Tools
from switchboard.transact import transact

#: Milliseconds of a statement.
_STATEMENT_MS = 15_000


class StoredAudience(Arguments):
    """A stored audience."""

    audience: Audience


@dataclass(frozen=True, slots=True)
class CampaignCost:
    """Costs of a campaign by the tenant's price table.

    `expected`: of those who are still to be written to; before the start of everybody in the
    audience now, whatever they have agreed to. `actual`: of messages that went out, by what Meta
    said of them. A campaign of more than 20,000 recipients is counted by a job: `counted_at` says
    since when what was told may be missing, None for one that is counted as it is asked.
    `complete`: all of them are counted; until the first count has ended it is what it has so far.
    """

    expected: CostShown
    actual: CostShown
    complete: bool
    counted_at: datetime | None


def audience_of(campaign: store.Campaign) -> Audience:
    """Return whom a campaign reaches."""
    given = {"audience": {"type": campaign.audience_type, **campaign.audience_config}}
    return read(StoredAudience, given).audience


def expected(
    tools: Tools, connection: Connection, tenant_id: UUID, category: str | None, people: People
) -> Cost:
    """Return what one message to each of these would cost."""
    groups = recipients.groups(connection, tenant_id, people, now=tools.clock.now)
    counts = prices.by_country(groups)
    return prices.estimate(
        connection, tenant_id, (category or "marketing").lower(), counts, tools.clock.now
    )


def known_in(cost: Cost, currency: str | None) -> Decimal | None:
    """Return what is known in a currency; None: nothing."""
    if currency is None or (cost.charged and not cost.spent(currency).messages):
        return None
    return cost.spent(currency).amount


def unit_prices(
    connection: Connection,
    tenant_id: UUID,
    campaign: store.Running,
    phones: Iterable[str | None],
) -> dict[str | None, Decimal]:
    """Return what one message to each phone costs at the first tier, where that is known."""
    if campaign.currency is None:
        return {}
    day = campaign.now.astimezone(UTC).date()
    kind = category_of((campaign.category or "marketing").lower())
    rates = Rates(table.find_rates(connection, tenant_id, [kind], until=day))
    by_country: dict[str, Decimal | None] = {}
    found: dict[str | None, Decimal] = {}
    for phone in phones:
        country = None if phone is None else country_of(phone.removeprefix("+"))
        if country is None:
            continue
        if country not in by_country:
            spent, _ = Meters(rates).price(kind, country, 1, day)
            one = spent.get(campaign.currency)
            by_country[country] = None if one is None else one.amount
        price = by_country[country]
        if price is not None:
            found[phone] = price
    return found


def require_price(connection: Connection, tenant_id: UUID, campaign: store.Campaign) -> None:
    """Refuse a cap that could stop nothing. Raises Unprocessable."""
    if campaign.spending_cap is None:
        return
    parts = store.find_parts(
        connection,
        tenant_id,
        number=campaign.phone_number_id,
        template=campaign.template,
        language=campaign.language,
    )
    kind = category_of(((parts and parts.category) or "marketing").lower())
    day = table.read_now(connection, now=None).astimezone(UTC).date()
    rates = table.find_rates(connection, tenant_id, [kind], until=day)
    if all(rate.currency != campaign.currency for rate in rates):
        raise Unprocessable(
            f"no price of {kind} messages in {campaign.currency} is known, so that the cap would"
            " stop nothing: import prices, or take the cap away",
            field="spending_cap",
        )


def show_cost(tools: Tools, tenant_id: UUID, campaign_id: UUID) -> CampaignCost:
    """Return what a campaign will cost and has cost.

    Raises NotFound, Unavailable where the audience takes too long to read.
    """

    def ahead(connection: Connection) -> tuple[store.Campaign, Cost]:
        campaign = store.find(connection, tenant_id, campaign_id)
        if campaign is None:
            raise NotFound("this campaign is not known")
        if campaign.status in {"completed", "cancelled"}:
            return campaign, Cost()
        parts = store.find_parts(
            connection,
            tenant_id,
            number=campaign.phone_number_id,
            template=campaign.template,
            language=campaign.language,
        )
        people = (
            recipients.pending(campaign_id)
            if campaign.started_at is not None
            else select_people(audience_of(campaign))
        )
        category = None if parts is None else parts.category
        return campaign, expected(tools, connection, tenant_id, category, people)

    campaign, cost = transact(tools, tenant_id, ahead, statement_timeout_ms=_STATEMENT_MS)
    total, counted_at = campaign.total_recipients, None
    if total <= AT_ONCE:
        counted, complete = count_now(tools, tenant_id, campaign_id, total), True
    else:
        counted, counted_at = last_count(tools, tenant_id, campaign_id)
        complete = counted_at is not None

    def price(connection: Connection) -> Cost:
        return prices.priced(connection, tenant_id, counted)

    actual = transact(tools, tenant_id, price, statement_timeout_ms=_STATEMENT_MS)
    return CampaignCost(cost.shown(), actual.shown(), complete, counted_at)
