"""The file of a price table: CSV, a header, then a rate in each line (docs/prices.md).

Read as kernel/csv_rows.py says; lines that begin with `#` are remarks. Amounts are exact: a number
in digits with a point, never rounded and never made a float.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from switchboard.kernel import csv_rows
from switchboard.kernel.csv_rows import LineError
from switchboard.kernel.currencies import CODES
from switchboard.kernel.errors import Unprocessable
from switchboard.prices.free import SERVICE, category_of
from switchboard.prices.rates import OTHER
from switchboard.store.prices import Rate

#: Lines of a file; rates that they may become, a line of many countries being one for each.
MOST_LINES, MOST_RATES = 20_000, 50_000
#: Columns that must be there, and those that may be left out.
NEEDED = ("currency", "valid_from", "category", "market", "amount")
OPTIONAL = ("countries", "from_volume")
#: Meta's categories (Webhooks, statuses, `pricing.category`); others are taken and pointed out.
CATEGORIES = frozenset(
    f"{SERVICE} utility marketing marketing_lite authentication authentication_international"
    " referral_conversion group_service group_utility group_marketing".split()
)
#: Characters of a wrong value that a report repeats.
_SHOWN = 40
_AMOUNT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,10})?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_VOLUME = re.compile(r"[0-9]{1,15}")
_CATEGORY = re.compile(r"[a-z][a-z0-9_]{0,49}")
_NO_COUNTRIES = "names no country of its own: countries must list some, such as 'KE TZ'"


@dataclass(slots=True)
class RateFile:
    """What a file holds: rates with the lines that they stand in, and lines that are none."""

    rates: dict[tuple[str, str, str, date, int], Rate] = field(default_factory=dict)
    errors: list[LineError] = field(default_factory=list)
    _lines: dict[tuple[str, str, str, date, int], int] = field(default_factory=dict)

    def add(self, line: int, rates: Sequence[Rate]) -> None:
        """Take up a line's rates; one that an earlier line has given is an error."""
        for rate in rates:
            key = rate[:5]
            if key in self.rates:
                reason = f"line {self._lines[key]} has a rate for the same"
                self.errors.append(LineError(line, "market", rate.country, reason))
                return
        for rate in rates:
            self.rates[rate[:5]] = rate
            self._lines[rate[:5]] = line


def read_rates(content: bytes) -> RateFile:
    """Read a whole file, and tell of each line that is wrong.

    Raises Unprocessable for what is no such file: not UTF-8, a header that lacks a column or has a
    strange one, no rate at all, too many lines.
    """
    rows = _rows(content)
    header = next(rows, None)
    if header is None or isinstance(header[1], LineError):
        raise Unprocessable("the file has no header line", field="line 1")
    names = _read_header(header[0], header[1])
    found = RateFile()
    for count, (line, cells) in enumerate(rows, 1):
        if count > MOST_LINES:
            raise Unprocessable(f"the file has more than {MOST_LINES} lines: divide it")
        read = cells if isinstance(cells, LineError) else _read_line(line, names, cells)
        if isinstance(read, LineError):
            found.errors.append(read)
        else:
            found.add(line, read)
        _check_size(found)
    if not found.rates and not found.errors:
        raise Unprocessable("the file has no rate", field=f"line {header[0] + 1}")
    return found


def read_given(rows: Iterable[Mapping[str, str]]) -> RateFile:
    """Read rates that came otherwise than as a file; `line` is the place among them, from 1."""
    found = RateFile()
    for place, row in enumerate(rows, 1):
        read = _read_row(place, {**dict.fromkeys((*NEEDED, *OPTIONAL), ""), **row})
        if isinstance(read, LineError):
            found.errors.append(read)
        else:
            found.add(place, read)
        _check_size(found)
    return found


def _check_size(found: RateFile) -> None:
    if len(found.rates) > MOST_RATES:
        raise Unprocessable(f"there are more than {MOST_RATES} rates: divide them")


def _rows(content: bytes) -> Iterator[tuple[int, list[str] | LineError]]:
    """Yield each row that is no remark."""
    text = csv_rows.decode(content)
    if "\0" in text:
        raise Unprocessable("the file is no text: it holds a NUL")
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    for line, cells in csv_rows.rows(text, next(lines, "")):
        if isinstance(cells, LineError) or not cells[0].startswith("#"):
            yield line, cells


def _read_header(line: int, cells: Sequence[str]) -> list[str]:
    names = [name.lower() for name in cells]
    while names and not names[-1]:
        names.pop()  # separators at a line's end
    where = f"line {line}"
    for name in names:
        if name not in {*NEEDED, *OPTIONAL}:
            raise Unprocessable(f"the header names {_short(name)!r}: no such column", field=where)
        if names.count(name) > 1:
            raise Unprocessable(f"the header names {name} twice", field=where)
    for name in NEEDED:
        if name not in names:
            raise Unprocessable(f"the header lacks the column {name}", field=where)
    return names


def _read_line(line: int, names: Sequence[str], cells: Sequence[str]) -> list[Rate] | LineError:
    if any(cells[len(names) :]):
        return LineError(line, None, None, f"has more values than the header's {len(names)} names")
    empty = dict.fromkeys((*NEEDED, *OPTIONAL), "")
    return _read_row(line, empty | dict(zip(names, cells, strict=False)))


def _read_row(line: int, row: dict[str, str]) -> list[Rate] | LineError:
    row["category"] = category_of(row["category"])
    for name, reason in _CHECKS.items():
        wrong = reason(row[name])
        if wrong is not None:
            return LineError(line, name, _short(row[name]) or None, wrong)
    countries = _countries(row)
    if isinstance(countries, str):
        column = "countries" if row["countries"] else "market"
        return LineError(line, column, _short(row[column]), countries)
    return [
        Rate(
            row["category"],
            country,
            row["currency"],
            date.fromisoformat(row["valid_from"]),
            int(row["from_volume"] or 0),
            row["market"],
            Decimal(row["amount"]),
        )
        for country in countries
    ]


def _countries(row: Mapping[str, str]) -> list[str] | str:
    """Return the countries of a line, or what is wrong with them."""
    market, given = row["market"], row["countries"].split()
    if market == OTHER:
        return "other is every country that no line names: leave it empty" if given else [OTHER]
    if not given:
        return [market] if _is_country(market) else _NO_COUNTRIES
    wrong = next((one for one in given if not _is_country(one)), None)
    if wrong is not None:
        return f"{_short(wrong)} is no country of ISO 3166: two capital letters, as MX"
    return sorted(set(given))


def _is_country(code: str) -> bool:
    import phonenumbers

    return code in phonenumbers.SUPPORTED_REGIONS


def _wrong_day(text: str) -> str | None:
    try:
        # Python also reads a week's day, as 2026-W01-1.
        date.fromisoformat(text if _DAY.fullmatch(text) else "")
    except ValueError:
        return "must be a date such as 2027-01-31"
    return None


_CHECKS: Mapping[str, Callable[[str], str | None]] = {
    "currency": lambda text: (
        None if text in CODES else "is no currency of ISO 4217: three capital letters, as EUR"
    ),
    "valid_from": _wrong_day,
    "category": lambda text: (
        None if _CATEGORY.fullmatch(text) else "must be Meta's word, such as utility"
    ),
    "market": lambda text: (
        None if 1 <= len(text) <= 100 else "must be a country, other, or a name of 1 to 100 letters"
    ),
    "from_volume": lambda text: (
        None if not text or _VOLUME.fullmatch(text) else "must be a number of messages, from 0"
    ),
    "amount": lambda text: (
        None
        if _AMOUNT.fullmatch(text)
        else "must be in digits with a point, ten after it at most: 0.0315"
    ),
}


def _short(value: str) -> str:
    return value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
