"""The recipients of campaigns. Everything but `freeze` goes along an index, slice by slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg import sql

from switchboard.kernel.db import Connection, queries
from switchboard.store.audiences import People

_SQL = queries(__package__ or "", "recipients")
#: Where a query of people stands in `freeze`.
_PEOPLE = "/* people */ select %(tenant_id)s::uuid as contact_id, '{}'::jsonb as given"
#: All states, as the table has them.
STATUSES = (
    "pending",
    "skipped",
    "queued",
    "unconfirmed",
    "undetermined",
    "sent",
    "delivered",
    "read",
    "failed",
    "denied",
    "expired",
    "cancelled",
)


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom a campaign writes to, and what became of it."""

    contact_id: UUID
    position: int
    status: str
    reason: str | None
    message_id: UUID | None
    variables: dict[str, Any]
    estimated_price: Decimal | None
    updated_at: datetime
    phone_number: str | None


@dataclass(frozen=True, slots=True)
class Next:
    """Somebody whose turn it is: the list's values and the contact's row as JSON."""

    contact_id: UUID
    variables: dict[str, Any]
    previous_message_id: UUID | None
    estimated_price: Decimal | None
    contact: dict[str, Any]
    is_deleted: bool
    #: Somebody else of the campaign who is the same person by now is written to.
    is_double: bool


@dataclass(frozen=True, slots=True)
class Marked:
    """What a slice made of one recipient."""

    contact_id: UUID
    status: str
    reason: str | None = None
    message_id: UUID | None = None
    price: Decimal | None = None


def freeze(
    connection: Connection,
    tenant_id: UUID,
    campaign_id: UUID,
    people: People,
    *,
    is_marketing: bool,
    now: datetime | None,
) -> int:
    """Put down everybody of an audience, and return how many; a million take some seconds."""
    head, _, tail = _SQL["freeze"].partition(_PEOPLE)
    return connection.execute(
        sql.Composed([sql.SQL(head), people.text, sql.SQL(tail)]),
        {
            **people.parameters,
            "tenant_id": tenant_id,
            "campaign_id": campaign_id,
            "is_marketing": is_marketing,
            "now": now,
        },
    ).rowcount


def follow_merges(connection: Connection, tenant_id: UUID, campaign_id: UUID) -> int:
    """Move the rows of who was merged during `freeze`; hold the contacts first."""
    return connection.execute(
        _SQL["follow_merges"], {"tenant_id": tenant_id, "campaign_id": campaign_id}
    ).rowcount


def waiting(
    connection: Connection,
    tenant_id: UUID,
    campaign_id: UUID,
    account_id: UUID,
    *,
    due: int,
    open_: int,
    now: datetime,
) -> tuple[int, int]:
    """Return how much bulk of the number is due, and how much of the campaign is open.

    Counted up to `due` and `open_`.
    """
    row = connection.execute(
        _SQL["waiting"],
        {
            "tenant_id": tenant_id,
            "campaign_id": campaign_id,
            "account_id": account_id,
            "due": due,
            "open": open_,
            "now": now,
        },
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def take(connection: Connection, tenant_id: UUID, campaign_id: UUID, *, limit: int) -> list[Next]:
    """Return the next recipients in their order, locked."""
    rows = connection.execute(
        _SQL["take"], {"tenant_id": tenant_id, "campaign_id": campaign_id, "limit": limit}
    )
    return [Next(*row) for row in rows]


def take_back(
    connection: Connection,
    tenant_id: UUID,
    campaign_id: UUID,
    contact_ids: Sequence[UUID],
    *,
    now: datetime,
) -> set[UUID]:
    """Return those whose failed message has arrived after all: they need no other one."""
    rows = connection.execute(
        _SQL["take_back"],
        {
            "tenant_id": tenant_id,
            "campaign_id": campaign_id,
            "contact_ids": list(contact_ids),
            "now": now,
        },
    )
    return {row[0] for row in rows}


def mark(
    connection: Connection,
    tenant_id: UUID,
    campaign_id: UUID,
    marked: Sequence[Marked],
    *,
    now: datetime,
) -> int:
    """Write what became of recipients that were taken, and return how many were pending still."""
    return connection.execute(
        _SQL["mark"],
        {
            "tenant_id": tenant_id,
            "campaign_id": campaign_id,
            "contact_ids": [one.contact_id for one in marked],
            "statuses": [one.status for one in marked],
            "reasons": [one.reason for one in marked],
            "message_ids": [one.message_id for one in marked],
            "prices": [one.price for one in marked],
            "now": now,
        },
    ).rowcount


def count(connection: Connection, tenant_id: UUID, campaign_id: UUID) -> dict[str, int]:
    """Return how many are in which state; a state that nobody is in is left out."""
    rows = connection.execute(_SQL["count"], {"tenant_id": tenant_id, "campaign_id": campaign_id})
    return {str(row[0]): int(row[1]) for row in rows}


def is_open(
    connection: Connection, tenant_id: UUID, campaign_id: UUID, statuses: Sequence[str]
) -> bool:
    """Return whether anybody is in one of these states."""
    row = connection.execute(
        _SQL["is_open"],
        {"tenant_id": tenant_id, "campaign_id": campaign_id, "statuses": list(statuses)},
    ).fetchone()
    return row is not None and bool(row[0])


def reasons(
    connection: Connection, tenant_id: UUID, campaign_id: UUID
) -> list[tuple[str, str | None, int]]:
    """Return why some got nothing: state, reason, how many; the commonest first."""
    rows = connection.execute(_SQL["reasons"], {"tenant_id": tenant_id, "campaign_id": campaign_id})
    return [(str(row[0]), row[1], int(row[2])) for row in rows]


def opt_outs(connection: Connection, tenant_id: UUID, campaign_id: UUID, *, since: datetime) -> int:
    """Return how many took their consent back after a message of the campaign."""
    row = connection.execute(
        _SQL["opt_outs"], {"tenant_id": tenant_id, "campaign_id": campaign_id, "since": since}
    ).fetchone()
    assert row is not None
    return int(row[0])


def groups(
    connection: Connection, tenant_id: UUID, people: People, *, now: datetime | None
) -> list[tuple[str | None, int]]:
    """Return people by the beginnings of their numbers: the number of one, and how many."""
    head, _, tail = _SQL["groups"].partition(_PEOPLE)
    rows = connection.execute(
        sql.Composed([sql.SQL(head), people.text, sql.SQL(tail)]),
        {**people.parameters, "tenant_id": tenant_id, "now": now},
    )
    return [(row[0], int(row[1])) for row in rows]


def pending(campaign_id: UUID) -> People:
    """Those of a frozen audience who wait, as a query of people."""
    return People(sql.SQL(_SQL["pending"]), {"campaign_id": campaign_id})


def messages(
    connection: Connection, tenant_id: UUID, campaign_id: UUID, *, after: int, until: int
) -> list[UUID]:
    """Return messages that were sent, or wait to be, for those after a place and up to another."""
    rows = connection.execute(
        _SQL["messages"],
        {
            "tenant_id": tenant_id,
            "campaign_id": campaign_id,
            "statuses": list(STATUSES),
            "after": after,
            "until": until,
        },
    )
    return [row[0] for row in rows]


def list_recipients(
    connection: Connection,
    tenant_id: UUID,
    campaign_id: UUID,
    *,
    statuses: Sequence[str],
    after: int,
    limit: int,
) -> list[Recipient]:
    """Return recipients in these states in the order of their turns, after that position."""
    rows = connection.execute(
        _SQL["list"],
        {
            "tenant_id": tenant_id,
            "campaign_id": campaign_id,
            "statuses": list(statuses),
            "after": after,
            "limit": limit,
        },
    )
    return [Recipient(*row) for row in rows]


def contact(
    connection: Connection, tenant_id: UUID, contact_id: UUID, *, list_id: UUID | None
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return a contact's row and what the list gives for them; None: not known."""
    row = connection.execute(
        _SQL["contact"], {"tenant_id": tenant_id, "contact_id": contact_id, "list_id": list_id}
    ).fetchone()
    return None if row is None else (row[0], row[1])


def cancel_messages(
    connection: Connection,
    tenant_id: UUID,
    campaign_id: UUID,
    *,
    limit: int,
    now: datetime | None,
) -> int:
    """Cancel messages that no byte of has left, and return how many there were."""
    row = connection.execute(
        _SQL["cancel_messages"],
        {"tenant_id": tenant_id, "campaign_id": campaign_id, "limit": limit, "now": now},
    ).fetchone()
    assert row is not None
    return int(row[0])


def cancel_pending(
    connection: Connection,
    tenant_id: UUID,
    campaign_id: UUID,
    *,
    limit: int,
    now: datetime | None,
) -> int:
    """Cancel recipients whose turn has not come, and return how many."""
    return connection.execute(
        _SQL["cancel_pending"],
        {"tenant_id": tenant_id, "campaign_id": campaign_id, "limit": limit, "now": now},
    ).rowcount


def retry(
    connection: Connection,
    tenant_id: UUID,
    campaign_id: UUID,
    *,
    denied: Sequence[str],
    before: datetime,
    limit: int,
    now: datetime | None,
) -> tuple[int, int]:
    """Make recipients pending again; returns how many were looked at, and how many are."""
    row = connection.execute(
        _SQL["retry"],
        {
            "tenant_id": tenant_id,
            "campaign_id": campaign_id,
            "denied": list(denied),
            "before": before,
            "limit": limit,
            "now": now,
        },
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])
