"""What messages would cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import NamedTuple
from uuid import UUID

from switchboard.kernel.db import Connection
from switchboard.prices.charges import Charge, charge
from switchboard.prices.cost import Cost
from switchboard.prices.countries import NOWHERE, by_country
from switchboard.prices.free import category_of, free_type
from switchboard.store import prices as store


def estimate(
    connection: Connection,
    tenant_id: UUID,
    category: str,
    counts_by_country: Mapping[str, int],
    at: datetime | None,
    *,
    inside_window: bool = False,
    inside_entry_point: bool = False,
) -> Cost:
    """Return what messages of one category would cost, in each currency of the tenant's table.

    `category` is the template's (in Meta's letters or ours), `reply` or `service` for what is none;
    `counts_by_country` as `by_country` returns it; `at` when they would go out, None for now by the
    database. `inside_window`: the people's 24-hour windows are open (ask once for those inside and
    once for those outside, and add). Nobody is taken to be in a free entry point unless it is said,
    and every message to arrive.

    Only where the table has tiers for these countries is the month's volume counted: that reads the
    tenant's messages of the month, and may need a statement timeout above the role's.
    """
    moment = store.read_now(connection, now=at).astimezone(UTC)
    kind, total = category_of(category), sum(counts_by_country.values())
    free = free_type(
        kind, moment, inside_window=inside_window, inside_entry_point=inside_entry_point
    )
    if free is not None:
        return Cost(messages=total, free=total)
    day = moment.date()
    charges = {Charge(kind, day, country): many for country, many in counts_by_country.items()}
    return charge(connection, tenant_id, charges, {(kind, day.replace(day=1)): moment})


class Planned(NamedTuple):
    """A message of a category to a number or a user id, at a time, in an open window or not."""

    category: str
    to: str
    at: datetime
    inside_window: bool


def estimate_each(connection: Connection, tenant_id: UUID, planned: Iterable[Planned]) -> Cost:
    """Return what these would cost, each as `estimate` says: by the rates of its own day.

    Where rates have tiers they count for each other, behind what had been sent by the first.
    """
    free, charges, first = 0, Counter[Charge](), dict[tuple[str, date], datetime]()
    for one in planned:
        at, kind = one.at.astimezone(UTC), category_of(one.category)
        if free_type(kind, at, inside_window=one.inside_window) is not None:
            free += 1
            continue
        day, month = at.date(), (kind, at.date().replace(day=1))
        country = next(iter(by_country([(one.to, 1)])), NOWHERE)
        charges[Charge(kind, day, country)] += 1
        first[month] = min(at, first.get(month, at))
    return Cost(messages=free, free=free) + charge(connection, tenant_id, charges, first)
