"""Whom an identifier or an id stands for, and contacts that turn out to be one person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

import orjson
import psycopg

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "identity")

#: SQLSTATE of messaging.refuse_strangers.
_STRANGERS = "SWM01"
#: A person with many messages takes longer than a webhook's statement may; with the rest of the
#: delivery it must still be over before the function is, so that the body reaches the backlog.
_TIMEOUT_MS = 5_000


@dataclass(frozen=True, slots=True)
class Strangers:
    """Contacts of one person: `reason` as contact_merges keeps it, `told_at` Meta's time of it."""

    contact_ids: Sequence[UUID]
    reason: str
    told_at: datetime | None


def strangers_of(error: psycopg.Error) -> list[Strangers]:
    """Return which contacts must be merged before the statement succeeds; none: another error."""
    if error.sqlstate != _STRANGERS or error.diag.message_detail is None:
        return []
    return [
        Strangers(
            [UUID(contact) for contact in group["contacts"]],
            group["reason"],
            None if group["at"] is None else datetime.fromtimestamp(group["at"], UTC),
        )
        for group in orjson.loads(error.diag.message_detail)
    ]


def merge(
    connection: Connection, tenant_id: UUID, strangers: Strangers, *, now: datetime | None
) -> UUID | None:
    """Make one contact of them and return it; what is one already stays as it is.

    None: not all of them are here, since the statement that refused them had made them itself; so
    it will refuse them again.

    Commits on its own, and waits until nobody else writes rows that name a contact: never inside a
    transaction.
    """
    contacts = {"tenant": tenant_id, "contacts": list(strangers.contact_ids)}
    with connection.transaction():
        connection.execute(_SQL["allow_time"], {"timeout": str(_TIMEOUT_MS)})
        row = connection.execute(
            _SQL["merge"],
            {
                **contacts,
                "reason": strangers.reason,
                "told_at": strangers.told_at,
                "now": now,
            },
        ).fetchone()
        known = connection.execute(_SQL["all_known"], contacts).fetchone()
    return row[0] if row is not None and known is not None and known[0] else None


def claim_phones(
    connection: Connection, tenant_id: UUID, phones: Sequence[str], *, now: datetime | None
) -> dict[str, UUID]:
    """Return the contact of each phone, in its national form; make those that are missing.

    None stands twice in `phones`. Hold contacts first.
    """
    if not phones:
        return {}
    parameters = {
        "tenant_id": tenant_id,
        "phones": list(phones),
        "ids": [uuid4() for _ in phones],
        "now": now,
    }
    return dict(connection.execute(_SQL["claim_phones"], parameters).fetchall())


def find_phones(connection: Connection, tenant_id: UUID, phones: Sequence[str]) -> dict[str, UUID]:
    """Return the contact of each phone, in its national form, that is somebody's already."""
    rows = connection.execute(_SQL["find_phones"], {"tenant_id": tenant_id, "phones": list(phones)})
    return dict(rows.fetchall())


def find_roots(
    connection: Connection, tenant_id: UUID, contact_ids: Sequence[UUID]
) -> dict[UUID, UUID]:
    """Return each contact's root, without those that are unknown or deleted."""
    rows = connection.execute(
        _SQL["find_roots"], {"tenant_id": tenant_id, "ids": list(contact_ids)}
    )
    return dict(rows.fetchall())
