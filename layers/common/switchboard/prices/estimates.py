"""What messages would cost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from switchboard.kernel.db import Connection
from switchboard.prices.cost import Cost
from switchboard.prices.countries import by_country
from switchboard.prices.free import category_of, free_type
from switchboard.prices.rates import Meters, Rates
from switchboard.store import prices as store


def estimate(
    connection: Connection,
    tenant_id: UUID,
    category: str,
    counts_by_country: Mapping[str, int],
    at: datetime | None,
    *,
    inside_window: bool = False,
    inside_entry_point: bool = False,
) -> Cost:
    """Return what messages of one category would cost, in each currency of the tenant's table.

    `category` is the template's (in Meta's letters or ours), `reply` or `service` for what is none;
    `counts_by_country` as `by_country` returns it; `at` when they would go out, None for now by the
    database. `inside_window`: the people's 24-hour windows are open (ask once for those inside and
    once for those outside, and add). Nobody is taken to be in a free entry point unless it is said,
    and every message to arrive.

    Only where the table has tiers for these countries is the month's volume counted: that reads the
    tenant's messages of the month, and may need a statement timeout above the role's.
    """
    moment = store.read_now(connection, now=at).astimezone(UTC)
    kind, total = category_of(category), sum(counts_by_country.values())
    free = free_type(
        kind, moment, inside_window=inside_window, inside_entry_point=inside_entry_point
    )
    if free is not None:
        return Cost(messages=total, free=total)
    day = moment.date()
    rates = Rates(store.find_rates(connection, tenant_id, [kind], until=day))
    meters = Meters(rates)
    if rates.has_tiers(kind, counts_by_country, day):
        month = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        sent = store.count_volumes(connection, tenant_id, kind, since=month, before=moment)
        meters.start(kind, by_country(sent), day)
    cost = Cost()
    for country, messages in sorted(counts_by_country.items()):
        spent, unknown = meters.price(kind, country, messages, day)
        cost += Cost(messages=messages, unknown=unknown, by_currency=spent)
    return cost
