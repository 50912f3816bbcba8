"""Who is blocked, here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "blocks")


class Wanted(NamedTuple):
    """A person by contact id, or by an identifier: `phone` (in its one form) or `user_id`."""

    contact_id: UUID | None = None
    kind: str | None = None
    value: str | None = None


class Person(NamedTuple):
    """The contact that was found, and what Meta knows it by; all None where there is none."""

    contact_id: UUID | None
    phone: str | None
    user_id: str | None


def find(connection: Connection, tenant_id: UUID, wanted: Sequence[Wanted]) -> list[Person]:
    """Return the person of each, in their order."""
    rows = connection.execute(
        _SQL["find"],
        {
            "tenant": tenant_id,
            "ids": [one.contact_id for one in wanted],
            "kinds": [one.kind for one in wanted],
            "values": [one.value for one in wanted],
        },
    ).fetchall()
    return [Person(*row) for row in rows]


def mark(
    connection: Connection,
    tenant_id: UUID,
    who: Sequence[Wanted],
    *,
    blocked: bool,
    now: datetime | None,
) -> None:
    """Say of all these people that they are blocked, or that they are not."""
    connection.execute(_SQL["hold"], {"tenant": tenant_id})
    named = [one for one in who if one.kind is not None]
    connection.execute(
        _SQL["mark"],
        {
            "tenant": tenant_id,
            "contacts": [one.contact_id for one in who if one.contact_id is not None],
            "kinds": [one.kind for one in named],
            "values": [one.value for one in named],
            "blocked": blocked,
            "now": now,
        },
    )
