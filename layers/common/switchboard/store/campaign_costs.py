"""What Meta takes for the messages of large campaigns: a count that goes on, and the last one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "campaign_costs")


class Kept(NamedTuple):
    """Counts of a campaign; `counting_since` None: none goes on, `counted` None: none has ended.

    `place`: up to which recipient `counts` are. `counted_at`: when the last one had begun.
    """

    counting_since: datetime | None
    place: int
    counts: dict[str, Any]
    counted_at: datetime | None
    counted: dict[str, Any] | None


def find(connection: Connection, tenant_id: UUID, campaign_id: UUID) -> Kept | None:
    """Return what is kept of a campaign; None: nothing."""
    row = connection.execute(
        _SQL["find"], {"tenant_id": tenant_id, "campaign_id": campaign_id}
    ).fetchone()
    return None if row is None else Kept(*row)


def hold(
    connection: Connection, tenant_id: UUID, campaign_id: UUID, *, now: datetime | None
) -> Kept:
    """Go on with a count, or begin one: the row is the caller's until the commit."""
    row = connection.execute(
        _SQL["hold"], {"tenant_id": tenant_id, "campaign_id": campaign_id, "now": now}
    ).fetchone()
    assert row is not None
    return Kept(*row)


def note(
    connection: Connection,
    tenant_id: UUID,
    campaign_id: UUID,
    counts: Mapping[str, Any],
    *,
    place: int | None,
) -> None:
    """Write down a held count up to a place; None: that was all."""
    connection.execute(
        _SQL["end" if place is None else "note"],
        {
            "tenant_id": tenant_id,
            "campaign_id": campaign_id,
            "place": place,
            "counts": orjson.dumps(counts).decode(),
        },
    )
