"""What Meta charges: imported rates, and the messages that they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

import orjson
from psycopg.rows import class_row

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "prices")


class Rate(NamedTuple):
    """What one message costs: the messages after the first `from_volume` of a month."""

    category: str
    country: str
    currency: str
    valid_from: date
    from_volume: int
    market: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Price:
    """A rate as people see it; the amount as a text, exactly."""

    category: str
    country: str
    currency: str
    valid_from: date
    from_volume: int
    market: str
    amount: str


class Replaced(NamedTuple):
    """How many rates were given, and what became of the table."""

    rates: int
    added: int
    changed: int
    removed: int


class Sent(NamedTuple):
    """A message of ours; `arrived`: delivered or read. `to`: a number with `+`, or a user id."""

    id: UUID
    account_id: UUID
    wa_message_id: str | None
    arrived: bool
    to: str | None


class Told(NamedTuple):
    """What Meta said of the price of a message, and the day (UTC) on which it did so first."""

    wa_message_id: str
    is_billable: bool | None
    category: str | None
    pricing_type: str | None
    pricing_model: str | None
    day: date


def read_now(connection: Connection, *, now: datetime | None) -> datetime:
    """Return the database's time, or `now`."""
    row = connection.execute(_SQL["now"], {"now": now}).fetchone()
    assert row is not None
    found: datetime = row[0]
    return found


def replace_cards(
    connection: Connection, tenant_id: UUID, rates: Sequence[Rate], *, now: datetime | None
) -> Replaced:
    """Make `rates` all that there is of each currency and day that they name."""
    connection.execute(_SQL["hold_prices"], {"tenant": tenant_id})
    document = [{**one._asdict(), "amount": str(one.amount)} for one in rates]
    row = connection.execute(
        _SQL["replace_cards"],
        {"tenant": tenant_id, "rates": orjson.dumps(document).decode(), "now": now},
    ).fetchone()
    assert row is not None
    return Replaced(*row)


def delete_card(connection: Connection, tenant_id: UUID, currency: str, valid_from: date) -> int:
    """Forget all rates of a currency and a day, and return how many there were."""
    connection.execute(_SQL["hold_prices"], {"tenant": tenant_id})
    return connection.execute(
        _SQL["delete_card"],
        {"tenant": tenant_id, "currency": currency, "valid_from": valid_from},
    ).rowcount


def list_rates(
    connection: Connection,
    tenant_id: UUID,
    *,
    currency: str | None,
    category: str | None,
    after: tuple[str, str, str, date, int],
    limit: int,
) -> list[Price]:
    """Return rates by category, country, currency, day and volume, behind that place."""
    with connection.cursor(row_factory=class_row(Price)) as cursor:
        return cursor.execute(
            _SQL["list_rates"],
            {
                "tenant": tenant_id,
                "only_currency": currency,
                "only_category": category,
                **dict(zip(Price.__slots__, after, strict=False)),
                "limit": limit,
            },
        ).fetchall()


def find_rates(
    connection: Connection, tenant_id: UUID, categories: Sequence[str], *, until: date
) -> list[Rate]:
    """Return the rates of categories that are or were valid by a day, the newest first of each."""
    rows = connection.execute(
        _SQL["rates"], {"tenant": tenant_id, "categories": list(categories), "until": until}
    )
    return [Rate(*row) for row in rows]


def count_volumes(
    connection: Connection,
    tenant_id: UUID,
    category: str,
    *,
    since: datetime,
    before: datetime | UUID,
) -> list[tuple[str | None, int]]:
    """Return how many templates of a category arrived that were made since then and before that.

    In groups of numbers that begin alike, each with one of its numbers. `before`: a moment, or the
    first message that is not counted. It reads all messages of the stretch.
    """
    is_id = isinstance(before, UUID)
    rows = connection.execute(
        _SQL["volumes"],
        {
            "tenant": tenant_id,
            "category": category,
            "since": since,
            "before": None if is_id else before,
            "before_id": before if is_id else None,
        },
    )
    return [(row[0], row[1]) for row in rows]


def find_sent(connection: Connection, tenant_id: UUID, messages: Sequence[UUID]) -> list[Sent]:
    """Return those of these messages that are ours and still stored, the oldest first."""
    rows = connection.execute(_SQL["sent"], {"tenant": tenant_id, "messages": list(messages)})
    return [Sent(*row) for row in rows]


def find_told(
    connection: Connection, tenant_id: UUID, account_id: UUID, keys: Sequence[str]
) -> list[Told]:
    """Return what Meta said of messages of a number, by their wa_message_ids; none: nothing."""
    rows = connection.execute(
        _SQL["told"], {"tenant": tenant_id, "account_id": account_id, "keys": list(keys)}
    )
    return [Told(*row) for row in rows]
