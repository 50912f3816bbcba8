"""What messages cost, with what is not known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Spent:
    """An amount in a currency's whole units, exactly, and for how many messages it is."""

    amount: Decimal = Decimal(0)
    messages: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.amount + other.amount, self.messages + other.messages)


@dataclass(frozen=True, slots=True)
class Cost:
    """What `messages` cost, counted apart.

    `free`: Meta takes nothing. `undelivered`: Meta takes nothing so far. `unknown`: no currency has
    a rate, or Meta has named no price. The rest has a price in some currency at least, and
    `by_currency` says in each how much it is for how many; the others have no rate in that one.
    Two of them add up by `+`.
    """

    messages: int = 0
    free: int = 0
    undelivered: int = 0
    unknown: int = 0
    by_currency: Mapping[str, Spent] = field(default_factory=dict)

    def __add__(self, other: Cost) -> Cost:
        currencies = sorted({*self.by_currency, *other.by_currency})
        return Cost(
            self.messages + other.messages,
            self.free + other.free,
            self.undelivered + other.undelivered,
            self.unknown + other.unknown,
            {one: self.spent(one) + other.spent(one) for one in currencies},
        )

    @property
    def charged(self) -> int:
        """How many messages Meta takes something for, or may: all but the free and undelivered."""
        return self.messages - self.free - self.undelivered

    def spent(self, currency: str) -> Spent:
        """Return what is known in a currency."""
        return self.by_currency.get(currency, Spent())

    def unknown_in(self, currency: str) -> int:
        """Return how many messages have no known price in a currency."""
        return self.charged - self.spent(currency).messages

    def shown(self) -> CostShown:
        """Return it as callers see it."""
        return CostShown(
            self.messages,
            self.free,
            self.undelivered,
            self.unknown,
            [
                InCurrency(currency, f"{one.amount:f}", one.messages, self.unknown_in(currency))
                for currency, one in sorted(self.by_currency.items())
            ],
        )


@dataclass(frozen=True, slots=True)
class InCurrency:
    """What is known in one currency: `amount` for `messages`; `unknown` have no rate in it."""

    currency: str
    amount: str
    messages: int
    unknown: int


@dataclass(frozen=True, slots=True)
class CostShown:
    """A cost as callers see it, its amounts as texts."""

    messages: int
    free: int
    undelivered: int
    unknown: int
    by_currency: list[InCurrency]
