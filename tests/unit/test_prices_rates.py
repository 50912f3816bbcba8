"""Which rate a message has, and what is free: by day, country, volume and Meta's rules."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.prices import Cost, Spent, by_country, free_type
from switchboard.prices.free import WINDOW_CHARGED_FROM
from switchboard.prices.rates import Rates, price
from switchboard.store.prices import Rate

DAY, LATER = date(2026, 10, 1), date(2027, 1, 1)
BEFORE = datetime(2026, 9, 30, 23, 59, tzinfo=UTC)


def rate(country: str, amount: str, *, day: date = DAY, volume: int = 0) -> Rate:
    return Rate("utility", country, "EUR", day, volume, country, Decimal(amount))


TIERS = [rate("MX", "0.3"), rate("MX", "0.2", volume=10), rate("MX", "0.1", volume=25)]


class TestTiers:
    """Each message costs what the tier says that it falls into."""

    @pytest.mark.parametrize(
        ("before", "messages", "amount"),
        [
            (0, 10, "3.0"),
            (0, 11, "3.2"),
            (10, 1, "0.2"),
            (9, 2, "0.5"),
            (24, 2, "0.3"),
            (1000, 3, "0.3"),
            (0, 30, "6.5"),
            (5, 0, "0"),
        ],
    )
    def test_they_are_cut_at_the_volume(self, before: int, messages: int, amount: str) -> None:
        assert price(TIERS, before, messages) == Spent(Decimal(amount), messages)

    @given(st.integers(0, 60), st.lists(st.integers(0, 40), max_size=5))
    def test_parts_cost_what_the_whole_does(self, before: int, parts: list[int]) -> None:
        spent, so_far = Spent(), before
        for part in parts:
            spent += price(TIERS, so_far, part)
            so_far += part
        assert spent == price(TIERS, before, sum(parts))

    def test_what_is_below_the_smallest_has_no_rate(self) -> None:
        assert price([rate("MX", "0.2", volume=10)], 5, 7) == Spent(Decimal("0.4"), 2)


class TestWhich:
    """The country's own rate before that of all others, the latest that is valid before older."""

    def test_a_country_without_a_rate_has_that_of_the_others(self) -> None:
        rates = Rates([rate("MX", "1"), rate("other", "2")])
        found = [rates.of("utility", "EUR", name, DAY)[0].amount for name in ("MX", "FR")]
        assert found == [1, 2]
        assert rates.of("marketing", "EUR", "MX", DAY) == []
        assert rates.of("utility", "USD", "MX", DAY) == []

    def test_whoevers_country_nobody_knows_has_none(self) -> None:
        assert Rates([rate("other", "2")]).of("utility", "EUR", "", DAY) == []

    def test_a_rate_is_valid_from_its_day_until_the_next(self) -> None:
        rates = Rates([rate("MX", "1"), rate("MX", "2", day=LATER)])
        days = [date(2026, 9, 30), DAY, date(2026, 12, 31), LATER, date(2040, 1, 1)]
        found = [[one.amount for one in rates.of("utility", "EUR", "MX", day)] for day in days]
        assert found == [[], [1], [1], [2], [2]]


@pytest.mark.parametrize(
    ("category", "how", "at", "word"),
    [
        ("service", {}, BEFORE, "free_customer_service"),
        ("utility", {"inside_window": True}, BEFORE, "free_customer_service"),
        ("utility", {}, BEFORE, None),
        ("marketing", {"inside_window": True}, BEFORE, None),
        ("authentication", {"inside_window": True}, BEFORE, None),
        ("service", {}, WINDOW_CHARGED_FROM, None),
        ("utility", {"inside_window": True}, WINDOW_CHARGED_FROM, None),
        ("marketing", {"inside_entry_point": True}, WINDOW_CHARGED_FROM, "free_entry_point"),
    ],
)
def test_what_is_free_is_what_meta_says(
    category: str, how: dict[str, bool], at: datetime, word: str | None
) -> None:
    assert free_type(category, at, **how) == word


def test_people_are_of_their_numbers_country() -> None:
    groups = [("+5255500012", 2), ("12125550123", 3), ("+14165550123", 1), ("MX.77", 4)]
    assert by_country([*groups, (None, 5), ("999123456", 6), ("+525512345678", 1)]) == {
        "MX": 7,
        "US": 3,
        "CA": 1,
        "": 11,
    }


def test_costs_add_up_and_say_what_is_not_known() -> None:
    one = Cost(messages=5, free=1, unknown=1, by_currency={"EUR": Spent(Decimal("0.10"), 3)})
    other = Cost(messages=2, undelivered=1, by_currency={"USD": Spent(Decimal("0.2"), 1)})
    both = one + other
    assert (both.messages, both.free, both.undelivered, both.unknown) == (7, 1, 1, 1)
    assert both.charged == 5
    assert both.spent("EUR") == Spent(Decimal("0.10"), 3)
    assert both.unknown_in("EUR") == 2
    assert both.unknown_in("USD") == 4
    assert [(one.currency, one.amount, one.unknown) for one in both.shown().by_currency] == [
        ("EUR", "0.10", 2),
        ("USD", "0.2", 4),
    ]
