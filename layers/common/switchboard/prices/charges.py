"""What messages cost that went out: what Meta said of each, by the rates of that day."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any, NamedTuple
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


class Charge(NamedTuple):
    """What Meta charges for, as far as a rate asks: all of these cost the same, but for tiers."""

    category: str
    day: date
    country: str


@dataclass(frozen=True, slots=True)
class Counted:
    """Messages by what Meta takes for them, before any rate is asked.

    `known` are those that no rate is asked for; `charges` says how many there are of each sort,
    `first` the first message of each category and month. Two of them add up by `+`.
    """

    known: Cost = field(default_factory=Cost)
    charges: Mapping[Charge, int] = field(default_factory=dict)
    first: Mapping[tuple[str, date], UUID] = field(default_factory=dict)

    def __add__(self, other: Counted) -> Counted:
        first = {**self.first}
        for month, message_id in other.first.items():
            first[month] = min(message_id, first.get(month, message_id))
        charges = Counter(self.charges) + Counter(other.charges)
        return Counted(self.known + other.known, charges, first)

    def as_json(self) -> dict[str, Any]:
        """Return it as it is kept."""
        known = self.known
        return {
            "known": [known.messages, known.free, known.undelivered, known.unknown],
            "charges": [
                [charge.category, charge.day.isoformat(), charge.country, messages]
                for charge, messages in sorted(self.charges.items())
            ],
            "first": [
                [category, month.isoformat(), str(message_id)]
                for (category, month), message_id in sorted(self.first.items())
            ],
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Counted:
        """Return what `as_json` has made."""
        return cls(
            Cost(*kept["known"]),
            {
                Charge(category, date.fromisoformat(day), country): messages
                for category, day, country, messages in kept["charges"]
            },
            {
                (category, date.fromisoformat(month)): UUID(message_id)
                for category, month, message_id in kept["first"]
            },
        )


def actual(connection: Connection, tenant_id: UUID, message_ids: Collection[UUID]) -> Cost:
    """Return what these messages of ours cost: `priced` of `count`."""
    return priced(connection, tenant_id, count(connection, tenant_id, message_ids))


def count(connection: Connection, tenant_id: UUID, message_ids: Collection[UUID]) -> Counted:
    """Return what Meta takes for these messages of ours.

    Meta charges for what has arrived; what has not is `undelivered`. `free` is what Meta says that
    it takes nothing for, `unknown` what it has named no price of (yet). A message that is no longer
    stored is unknown. Each person of a group is a message. Set-based, 5,000 messages a statement.
    """
    known, charges, first = Cost(), Counter[Charge](), dict[tuple[str, date], UUID]()
    countries: dict[tuple[str, int] | None, str] = {}
    rest = iter(sorted(set(message_ids)))
    while part := list(islice(rest, SLICE)):
        sent = store.find_sent(connection, tenant_id, part)
        lost = len(part) - len(sent)
        counts = Counter(unknown=lost)
        told = _told(connection, tenant_id, sent)
        for message in sent:
            for word, one in _sorted_out(message, told.get(_key(message), ())):
                if one is None:
                    counts[word] += 1
                    continue
                category = category_of(one.category or "")
                charges[Charge(category, one.day, _country(countries, message))] += 1
                first.setdefault((category, one.day.replace(day=1)), message.id)  # by their ids
        known += Cost(counts.total(), counts["free"], counts["undelivered"], counts["unknown"])
    return Counted(known, charges, first)


def _key(message: Sent) -> tuple[UUID, str | None]:
    return message.account_id, message.wa_message_id


def _country(countries: dict[tuple[str, int] | None, str], message: Sent) -> str:
    """Return a message's country, which is looked up once for numbers that begin alike."""
    to = message.to
    group = None if to is None else (to[:_BEGINNING], len(to))
    if group not in countries:
        countries[group] = next(iter(by_country([(to, 1)])), NOWHERE)
    return countries[group]


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


def _sorted_out(message: Sent, told: Sequence[Told]) -> Iterator[tuple[str, Told | None]]:
    """Yield what each message is, by a member of `Cost`; charged ones with what Meta said."""
    if not message.arrived:
        yield "undelivered", None
        return
    if not told:
        yield "unknown", None
    for one in told:
        if _is_free(one):
            yield "free", None
        elif _is_charged(one):
            yield "charged", one
        else:
            yield "unknown", None


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


def priced(connection: Connection, tenant_id: UUID, counted: Counted) -> Cost:
    """Return what counted messages cost, by the rates of their days (UTC).

    `unknown` are also those without a rate. Where rates have tiers the month's volume is counted as
    `estimate` does it, up to the first of these messages.
    """
    return counted.known + charge(connection, tenant_id, counted.charges, counted.first)


def charge(
    connection: Connection,
    tenant_id: UUID,
    charges: Mapping[Charge, int],
    first: Mapping[tuple[str, date], UUID | datetime],
) -> Cost:
    """Return what charges cost; `first`: up to where the volume before them is counted."""
    cost = Cost()
    if not charges:
        return cost
    categories = sorted({one.category for one in charges})
    until = max(one.day for one in charges)
    rates = Rates(store.find_rates(connection, tenant_id, categories, until=until))
    months: defaultdict[tuple[str, date], list[Charge]] = defaultdict(list)
    for one in sorted(charges):
        months[one.category, one.day.replace(day=1)].append(one)
    for (category, month), of_month in sorted(months.items()):
        # Volume begins anew with each month.
        meters = Meters(rates)
        if any(rates.has_tiers(category, [one.country], one.day) for one in of_month):
            before = store.count_volumes(
                connection,
                tenant_id,
                category,
                since=datetime(month.year, month.month, 1, tzinfo=UTC),
                before=first[category, month],
            )
            meters.start(category, by_country(before), of_month[0].day)
        for one in of_month:
            messages = charges[one]
            spent, unknown = meters.price(category, one.country, messages, one.day)
            cost += Cost(messages=messages, unknown=unknown, by_currency=spent)
    return cost
