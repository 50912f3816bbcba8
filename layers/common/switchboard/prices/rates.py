"""Which rate a message has: of a day, of a country or of all others, of the month's volume."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal

from switchboard.prices.cost import Spent
from switchboard.prices.countries import NOWHERE
from switchboard.store.prices import Rate

#: Stands in a table for every country without rates of its own.
OTHER = "other"
#: Currency, category, market: messages of these count together in a month.
Meter = tuple[str, str, str]


class Rates:
    """The rates of some categories, with all that were valid before."""

    def __init__(self, rates: Iterable[Rate]) -> None:
        self._tiers: dict[tuple[str, str, str], dict[date, list[Rate]]] = {}
        for rate in rates:
            key = rate.category, rate.currency, rate.country
            self._tiers.setdefault(key, defaultdict(list))[rate.valid_from].append(rate)
        self.currencies = sorted({currency for _, currency, _ in self._tiers})

    def of(self, category: str, currency: str, country: str, on: date) -> list[Rate]:
        """Return the tiers of that day, the smallest volume first; none: there is no rate."""
        if country == NOWHERE:
            return []
        for named in (country, OTHER):
            days = self._tiers.get((category, currency, named), {})
            valid = max((day for day in days if day <= on), default=None)
            if valid is not None:
                return sorted(days[valid], key=lambda rate: rate.from_volume)
        return []

    def market(self, category: str, currency: str, country: str, on: date) -> str | None:
        """Return the market under which a country's messages are counted; None without a rate."""
        tiers = self.of(category, currency, country, on)
        return tiers[0].market if tiers else None

    def has_tiers(self, category: str, countries: Iterable[str], on: date) -> bool:
        """Return whether the price of any of these depends on the month's volume."""
        return any(
            rate.from_volume > 0
            for currency in self.currencies
            for country in countries
            for rate in self.of(category, currency, country, on)
        )


def price(tiers: Iterable[Rate], before: int, messages: int) -> Spent:
    """Return what `messages` cost that follow `before` of the same market and month.

    Each costs what the tier says that it falls into; one below the smallest has no rate.
    """
    ordered = list(tiers)
    ends: list[int | None] = [rate.from_volume for rate in ordered[1:]]
    amount, known = Decimal(0), 0
    for rate, end in zip(ordered, [*ends, None], strict=True):
        last = before + messages if end is None else min(end, before + messages)
        fall = max(0, last - max(before, rate.from_volume))
        amount += rate.amount * fall
        known += fall
    return Spent(amount, known)


class Meters:
    """How many messages of each market the month has had: each that is priced is one more."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._read: dict[Meter, int] = defaultdict(int)

    def start(self, category: str, counts: Mapping[str, int], on: date) -> None:
        """Begin a month with what was sent in it before, by countries."""
        for currency in self._rates.currencies:
            for country, messages in counts.items():
                market = self._rates.market(category, currency, country, on)
                if market is not None:
                    self._read[currency, category, market] += messages

    def price(
        self, category: str, country: str, messages: int, on: date
    ) -> tuple[dict[str, Spent], int]:
        """Return what they cost by currency, and how many no currency has a rate for."""
        found: dict[str, Spent] = {}
        for currency in self._rates.currencies:
            tiers = self._rates.of(category, currency, country, on)
            if not tiers:
                continue
            meter = currency, category, tiers[0].market
            spent = price(tiers, self._read[meter], messages)
            self._read[meter] += messages
            if spent.messages:
                found[currency] = spent
        known = max((spent.messages for spent in found.values()), default=0)
        return found, messages - known
