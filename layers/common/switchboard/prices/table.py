"""The price table: imported by cards, listed, a card deleted.

A card is all rates of one currency from one day on. An import makes each card that its file names
what the file says, whole or not at all; cards of other currencies and days stay, so that what was
sent then keeps its price.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from switchboard.kernel.arguments import Arguments
from switchboard.kernel.currencies import known_currency
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import NotFound, Unprocessable
from switchboard.kernel.page import Page, Paged, page_of, read_cursor, refused
from switchboard.prices.file import CATEGORIES, MOST_LINES, RateFile, read_given, read_rates
from switchboard.store import prices as store
from switchboard.store.prices import Price
from switchboard.tools import Tools
from switchboard.transact import transact

#: Errors that a report repeats; all are counted.
MOST_ERRORS = 1_000
#: Longest that the import's statement may take.
_IMPORT_MS = 15_000
_Currency = Annotated[str, AfterValidator(known_currency)]


class PriceFilter(Paged):
    """Which rates."""

    currency: _Currency | None = Field(None, description="of this currency; left out: of all")
    category: Annotated[str, StringConstraints(max_length=50)] | None = Field(
        None, description="of this category, such as utility; left out: of all"
    )


class Card(Arguments):
    """All rates of one currency from one day on."""

    currency: _Currency = Field(description="the card's currency, such as EUR")
    valid_from: date = Field(description="the day from which it is valid")


class NewRate(Arguments):
    """A rate, as a line of the file has it."""

    currency: str = Field(description="three capital letters, as EUR")
    valid_from: str = Field(description="the day (UTC) from which it is valid, as 2027-01-31")
    category: str = Field(description="Meta's word, such as utility")
    market: str = Field(description="a country such as MX, other, or the name of several countries")
    countries: list[str] = Field(default_factory=list, description="of a market of several")
    from_volume: Annotated[int, Field(ge=0, strict=True)] = Field(
        0, description="messages of the month that come before the first at this price"
    )
    amount: str = Field(description="the price of one message, as a text in digits: 0.0315")


class NewRates(Arguments):
    """Cards, each with all of its rates."""

    rates: list[NewRate] = Field(min_length=1, max_length=MOST_LINES)


@dataclass(frozen=True, slots=True)
class CardRates:
    """A card and how many rates it has."""

    currency: str
    valid_from: date
    rates: int


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of the table; `strange` are categories that Meta has not had so far."""

    cards: Sequence[CardRates]
    rates: int
    added: int
    changed: int
    unchanged: int
    removed: int
    strange: Sequence[str]


def import_rates(tools: Tools, tenant_id: UUID, content: bytes) -> Imported:
    """Make the cards that a file names what it says; the same file again changes nothing.

    Raises Unprocessable, and writes nothing, where the file cannot be read or any of its lines:
    then `wrong` counts these, and `errors` names the first 1,000 with line, column and reason.
    """
    return _replace(tools, tenant_id, read_rates(content))


def put_rates(tools: Tools, tenant_id: UUID, new: NewRates) -> Imported:
    """Make the cards that `new` names what it says; raises as `import_rates`."""
    rows = (
        {
            **rate.model_dump(exclude={"countries", "from_volume"}),
            "countries": " ".join(rate.countries),
            "from_volume": str(rate.from_volume),
        }
        for rate in new.rates
    )
    return _replace(tools, tenant_id, read_given(rows))


def _replace(tools: Tools, tenant_id: UUID, read: RateFile) -> Imported:
    if read.errors:
        first = read.errors[0]
        where = f"line {first.line}" + (f", {first.column}" if first.column else "")
        raise Unprocessable(
            f"nothing was imported, {len(read.errors)} lines are wrong; {where}: {first.reason}",
            field=f"line {first.line}",
            extra={"wrong": len(read.errors), "errors": read.errors[:MOST_ERRORS]},
        )
    rates = [read.rates[key] for key in sorted(read.rates)]
    made = transact(
        tools,
        tenant_id,
        lambda connection: store.replace_cards(connection, tenant_id, rates, now=tools.clock.now),
        statement_timeout_ms=_IMPORT_MS,
    )
    days = Counter((rate.currency, rate.valid_from) for rate in rates)
    return Imported(
        cards=[CardRates(*card, number) for card, number in sorted(days.items())],
        rates=made.rates,
        added=made.added,
        changed=made.changed,
        unchanged=made.rates - made.added - made.changed,
        removed=made.removed,
        strange=sorted({rate.category for rate in rates} - CATEGORIES),
    )


def list_prices(tools: Tools, tenant_id: UUID, wanted: PriceFilter) -> Page[Price]:
    """Return rates by category, country, currency, day and volume."""
    after = ("", "", "", date.min, -1)
    parts = read_cursor("prices", wanted, 5)
    if parts is not None:
        try:
            category, country, currency = (part or "" for part in parts[:3])
            after = (
                category,
                country,
                currency,
                date.fromisoformat(parts[3] or ""),
                int(parts[4] or ""),
            )
        except ValueError:
            raise refused() from None

    def find(connection: Connection) -> Page[Price]:
        rows = store.list_rates(
            connection,
            tenant_id,
            currency=wanted.currency,
            category=wanted.category,
            after=after,
            limit=wanted.limit + 1,
        )
        return page_of(
            "prices",
            wanted,
            rows,
            lambda last: (
                last.category,
                last.country,
                last.currency,
                last.valid_from.isoformat(),
                str(last.from_volume),
            ),
        )

    return transact(tools, tenant_id, find)


def delete_card(tools: Tools, tenant_id: UUID, card: Card) -> CardRates:
    """Forget a card, and say how many rates it had; raises NotFound."""
    gone: list[int] = []

    def forget(connection: Connection) -> None:
        # Where the link was lost at the commit, the first run has deleted it.
        gone.append(store.delete_card(connection, tenant_id, card.currency, card.valid_from))

    transact(tools, tenant_id, forget)
    if not any(gone):
        raise NotFound("there is no rate of this currency and day", field="valid_from")
    return CardRates(card.currency, card.valid_from, max(gone))
