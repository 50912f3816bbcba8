"""What messages cost that went out: what Meta said of each, by the rates of that day."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from uuid import UUID

from switchboard.kernel.db import Connection
from switchboard.prices.cost import Cost
from switchboard.prices.countries import NOWHERE, by_country
from switchboard.prices.free import FREE_TYPES, category_of
from switchboard.prices.rates import Meters, Rates
from switchboard.store import prices as store
from switchboard.store.prices import Sent, Told

#: Messages of one statement.
SLICE = 5_000
#: Meta's price model of today: by message. The one before, by conversation, has no rates here.
_BY_CONVERSATION = "CBP"
#: Characters of a number that tell its country, its `+` among them.
_BEGINNING = 8


@dataclass(frozen=True, slots=True)
class _Charge:
    """A message that Meta charges for."""

    category: str
    day: date
    message_id: UUID
    to: str | None


def actual(connection: Connection, tenant_id: UUID, message_ids: Collection[UUID]) -> Cost:
    """Return what these messages of ours cost.

    Meta charges for what has arrived; what has not is `undelivered`. `free` is what Meta says that
    it takes nothing for, `unknown` what it has named no price of (yet) and what has no rate of that
    day (UTC). A message that is no longer stored is unknown. Each person of a group is a message.
    Set-based, 5,000 messages a statement; where rates have tiers the month's volume is counted as
    `estimate` does it, up to the first of these messages.
    """
    cost, charges = Cost(), list[_Charge]()
    rest = iter(sorted(set(message_ids)))
    while part := list(islice(rest, SLICE)):
        sent = store.find_sent(connection, tenant_id, part)
        lost = len(part) - len(sent)
        cost += Cost(messages=lost, unknown=lost)
        told = _told(connection, tenant_id, sent)
        for message in sent:
            cost += _sorted_out(message, told.get(_key(message), ()), charges)
    return cost + _priced(connection, tenant_id, charges)


def _key(message: Sent) -> tuple[UUID, str | None]:
    return message.account_id, message.wa_message_id


def _told(
    connection: Connection, tenant_id: UUID, sent: Iterable[Sent]
) -> dict[tuple[UUID, str | None], list[Told]]:
    """Return what Meta said of those that have arrived."""
    keys: defaultdict[UUID, list[str]] = defaultdict(list)
    for message in sent:
        if message.arrived and message.wa_message_id is not None:
            keys[message.account_id].append(message.wa_message_id)
    found: defaultdict[tuple[UUID, str | None], list[Told]] = defaultdict(list)
    for account_id, of_account in sorted(keys.items()):
        for told in store.find_told(connection, tenant_id, account_id, of_account):
            found[account_id, told.wa_message_id].append(told)
    return found


def _sorted_out(message: Sent, told: Sequence[Told], charges: list[_Charge]) -> Cost:
    """Return what a message costs where no rate is asked; the rest goes to `charges`."""
    if not message.arrived:
        return Cost(messages=1, undelivered=1)
    cost = Cost() if told else Cost(messages=1, unknown=1)
    for one in told:
        if _is_free(one):
            cost += Cost(messages=1, free=1)
        elif _is_charged(one):
            charges.append(
                _Charge(category_of(one.category or ""), one.day, message.id, message.to)
            )
        else:
            cost += Cost(messages=1, unknown=1)
    return cost


def _is_free(one: Told) -> bool:
    """Whether Meta says so; a word that we do not know says nothing."""
    return one.is_billable is False and (
        one.pricing_type is None or one.pricing_type in {"regular", *FREE_TYPES}
    )


def _is_charged(one: Told) -> bool:
    return (
        one.is_billable is True
        and one.category is not None
        and one.pricing_model != _BY_CONVERSATION
    )


def _priced(connection: Connection, tenant_id: UUID, charges: Sequence[_Charge]) -> Cost:
    cost = Cost()
    if not charges:
        return cost
    categories = sorted({one.category for one in charges})
    until = max(one.day for one in charges)
    rates = Rates(store.find_rates(connection, tenant_id, categories, until=until))
    months: defaultdict[tuple[str, date], list[_Charge]] = defaultdict(list)
    for one in charges:
        months[one.category, one.day.replace(day=1)].append(one)
    for (category, month), of_month in sorted(months.items()):
        counts = _by_day(of_month)
        # Volume begins anew with each month.
        meters = Meters(rates)
        if any(rates.has_tiers(category, [country], day) for day, country in counts):
            before = store.count_volumes(
                connection,
                tenant_id,
                category,
                since=datetime(month.year, month.month, 1, tzinfo=UTC),
                before=min(one.message_id for one in of_month),
            )
            meters.start(category, by_country(before), min(day for day, _ in counts))
        for (day, country), messages in sorted(counts.items()):
            spent, unknown = meters.price(category, country, messages, day)
            cost += Cost(messages=messages, unknown=unknown, by_currency=spent)
    return cost


def _by_day(charges: Iterable[_Charge]) -> Counter[tuple[date, str]]:
    """Count by day and country; the country is looked up once for numbers that begin alike."""
    countries: dict[tuple[str, int] | None, str] = {}
    counts: Counter[tuple[date, str]] = Counter()
    for one in charges:
        group = None if one.to is None else (one.to[:_BEGINNING], len(one.to))
        if group not in countries:
            countries[group] = next(iter(by_country([(one.to, 1)])), NOWHERE)
        counts[one.day, countries[group]] += 1
    return counts
