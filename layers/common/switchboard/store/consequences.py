"""What Meta's error codes lead to: one function of the database, which sets the tenant itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "consequences")


@dataclass(frozen=True, slots=True)
class Alert:
    """A code of a number that somebody must look at, the first of its hour."""

    account_id: UUID
    phone_number_id: str
    code: str
    meaning: str


def apply(
    connection: Connection, tenant_id: UUID, items: Sequence[dict[str, Any]], now: datetime | None
) -> list[Alert]:
    """Apply `items`, whose members sql/0027 tells; return the alerts that are new.

    Doing so again, or in another order, changes nothing.
    """
    rows = connection.execute(
        _SQL["apply"],
        {"tenant": tenant_id, "items": orjson.dumps(items).decode(), "now": now},
    )
    return [Alert(*row) for row in rows]
