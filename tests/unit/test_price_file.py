"""The file of a price table: what is read of it, and which lines are blamed for what."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from switchboard.kernel.csv_rows import LineError
from switchboard.kernel.errors import Unprocessable
from switchboard.prices import file
from switchboard.prices.file import read_rates
from switchboard.store.prices import Rate

HEADER = "currency,valid_from,category,market,countries,from_volume,amount"
LINE = "EUR,2026-10-01,utility,MX,,,0.0085"


def text(*lines: str) -> bytes:
    return "\n".join((HEADER, *lines)).encode()


def errors(*lines: str) -> list[LineError]:
    return read_rates(text(*lines)).errors


def test_a_line_is_a_rate_to_the_last_digit() -> None:
    (rate,) = read_rates(text("USD,2026-10-01,marketing,MX,,,0.0305000001")).rates.values()
    day = date(2026, 10, 1)
    assert rate == Rate("marketing", "MX", "USD", day, 0, "MX", Decimal("0.0305000001"))


def test_a_market_of_many_countries_is_a_rate_of_each() -> None:
    read = read_rates(text("USD,2026-10-01,utility,Rest of Africa,KE TZ KE,100000,0.004"))
    assert [(rate.country, rate.market, rate.from_volume) for rate in read.rates.values()] == [
        ("KE", "Rest of Africa", 100_000),
        ("TZ", "Rest of Africa", 100_000),
    ]


def test_other_stands_for_every_country_without_a_line() -> None:
    (rate,) = read_rates(text("USD,2026-10-01,utility,other,,,1")).rates.values()
    assert (rate.country, rate.market, rate.amount) == ("other", "other", Decimal(1))


def test_semicolons_quotes_remarks_and_a_byte_order_mark_are_read() -> None:
    content = (
        "\ufeff# invented\r\nCategory;Market;Amount;Currency;Valid_from;\r\n\r\n"
        '"utility";"CO";0.5;EUR;2026-10-01;\r\n# the end\r\n'
    ).encode()
    (rate,) = read_rates(content).rates.values()
    assert (rate.category, rate.country, rate.amount) == ("utility", "CO", Decimal("0.5"))


@pytest.mark.parametrize("word", ["authentication-international", "Authentication_International"])
def test_both_of_metas_spellings_are_one_category(word: str) -> None:
    (rate,) = read_rates(text(f"EUR,2026-10-01,{word},MX,,,1")).rates.values()
    assert rate.category == "authentication_international"


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("eur,2026-10-01,utility,MX,,,1", "currency"),
        ("EUR,01.10.2026,utility,MX,,,1", "valid_from"),
        ("EUR,20261001,utility,MX,,,1", "valid_from"),
        ("EUR,2026-W40-4,utility,MX,,,1", "valid_from"),
        ("EUR,2026-02-30,utility,MX,,,1", "valid_from"),
        ("EUR,2026-10-01,,MX,,,1", "category"),
        ("EUR,2026-10-01,util ity,MX,,,1", "category"),
        ("EUR,2026-10-01,utility,,,,1", "market"),
        ("EUR,2026-10-01,utility,ZZ,,,1", "market"),
        ("EUR,2026-10-01,utility,Rest of Africa,,,1", "market"),
        ("EUR,2026-10-01,utility,Africa,KE ZZ,,1", "countries"),
        ("EUR,2026-10-01,utility,other,KE,,1", "countries"),
        ("EUR,2026-10-01,utility,MX,,-1,1", "from_volume"),
        ("EUR,2026-10-01,utility,MX,,1.5,1", "from_volume"),
        *(
            (f"EUR,2026-10-01,utility,MX,,,{amount}", "amount")
            for amount in ("", "-1", "1e2", "NaN", "Infinity", "1.00000000001", "0x1", "٣", ".5")
        ),
    ],
)
def test_a_wrong_line_is_named_with_its_column(line: str, column: str) -> None:
    read = read_rates(text(LINE, "", line))
    assert [(error.line, error.column) for error in read.errors] == [(4, column)]
    assert len(read.rates) == 1


def test_a_rate_that_is_given_twice_is_wrong_the_second_time() -> None:
    again = "EUR,2026-10-01,utility,Middle America,GT MX,0,0.01"
    assert errors(LINE, again) == [LineError(3, "market", "MX", "line 2 has a rate for the same")]


def test_quotes_that_do_not_close_and_too_many_values_cost_their_line() -> None:
    assert [error.line for error in errors(LINE + ",7", 'EUR,"20"26,,,,,')] == [2, 3]


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b"", "line 1"),
        (b"currency,valid_from,category,market\n", "line 1"),
        (f"{HEADER},price\n{LINE},1\n".encode(), "line 1"),
        (f"{HEADER},amount\n".encode(), "line 1"),
        (f"# ours\n{HEADER}\n".encode(), "line 3"),
        (HEADER.encode() + b"\nEUR,2026-10-01,utility,M\xe9xico,,,1", "line 2"),
        (b"\0", None),
    ],
)
def test_what_is_no_such_file_is_refused_whole(content: bytes, field: str | None) -> None:
    with pytest.raises(Unprocessable) as refused:
        read_rates(content)
    assert refused.value.field == field


def test_a_file_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "MOST_LINES", 1)
    with pytest.raises(Unprocessable, match="more than 1 lines"):
        read_rates(text(LINE, LINE))
    monkeypatch.setattr(file, "MOST_RATES", 1)
    with pytest.raises(Unprocessable, match="more than 1 rates"):
        read_rates(text("EUR,2026-10-01,utility,Africa,KE TZ,,1"))
