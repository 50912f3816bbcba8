"""What messages cost that went out: what Meta said of each, by the rates of that day."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime
from itertools import islice
from uuid import UUID

from switchboard.kernel.db import Connection
from switchboard.prices.cost import Cost
from switchboard.prices.countries import NOWHERE, by_country
from switchboard.prices.free import FREE_TYPES, category_of
from switchboard.prices.rates import Meters, Rates
from switchboard.store import prices as store
from switchboard.store.prices import Told

#: Messages of one statement.
SLICE = 5_000
#: Meta's price model of today: by message. The one before, by conversation, has no rates here.
_BY_CONVERSATION = "CBP"


def actual(connection: Connection, tenant_id: UUID, message_ids: Collection[UUID]) -> Cost:
    """Return what these messages of ours cost.

    Meta charges for what has arrived; what has not is `undelivered`. `free` is what Meta says that
    it takes nothing for, `unknown` what it has named no price of (yet) and what has no rate of that
    day (UTC). A message that is no longer stored is unknown. Each person of a group is a message.
    Set-based, 5,000 messages a statement; where rates have tiers the month's volume is counted as
    `estimate` does it, up to the first of these messages.
    """
    told: list[Told] = []
    rest = iter(sorted(set(message_ids)))
    while part := list(islice(rest, SLICE)):
        told += store.find_told(connection, tenant_id, part)
    known = sum(one.messages for one in told)
    cost = Cost(messages=max(0, len(set(message_ids)) - known))
    cost = Cost(messages=cost.messages, unknown=cost.messages)
    charged: list[Told] = []
    for one in told:
        if not one.arrived:
            cost += Cost(messages=one.messages, undelivered=one.messages)
        elif _is_free(one):
            cost += Cost(messages=one.messages, free=one.messages)
        elif _is_charged(one):
            charged.append(one)
        else:
            cost += Cost(messages=one.messages, unknown=one.messages)
    return cost + _priced(connection, tenant_id, charged)


def _is_free(one: Told) -> bool:
    """Whether Meta says so; a word that we do not know says nothing."""
    return one.is_billable is False and (
        one.pricing_type is None or one.pricing_type in {"regular", *FREE_TYPES}
    )


def _is_charged(one: Told) -> bool:
    return (
        one.is_billable is True
        and one.category is not None
        and one.day is not None
        and one.pricing_model != _BY_CONVERSATION
    )


def _priced(connection: Connection, tenant_id: UUID, charged: Sequence[Told]) -> Cost:
    cost = Cost()
    if not charged:
        return cost
    days = [one.day for one in charged if one.day is not None]
    categories = sorted({category_of(one.category or "") for one in charged})
    rates = Rates(store.find_rates(connection, tenant_id, categories, until=max(days)))
    months: dict[tuple[str, date], list[tuple[date, str, Told]]] = {}
    for one in charged:
        assert one.day is not None
        country = next(iter(by_country([(one.sample, 1)])), NOWHERE)
        key = category_of(one.category or ""), one.day.replace(day=1)
        months.setdefault(key, []).append((one.day, country, one))
    for (category, month), lines in sorted(months.items()):
        # Volume begins anew with each month.
        meters = Meters(rates)
        if any(rates.has_tiers(category, [country], day) for day, country, _ in lines):
            before = store.count_volumes(
                connection,
                tenant_id,
                category,
                since=datetime(month.year, month.month, 1, tzinfo=UTC),
                before=min(one.first_id for _, _, one in lines),
            )
            meters.start(category, by_country(before), lines[0][0])
        for day, country, one in sorted(lines, key=lambda line: (line[0], line[1])):
            spent, unknown = meters.price(category, country, one.messages, day)
            cost += Cost(messages=one.messages, unknown=unknown, by_currency=spent)
    return cost
