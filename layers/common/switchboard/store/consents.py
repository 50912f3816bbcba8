"""Consents: what people have agreed to and taken back, and whether they were told so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "consents")

State = Literal["given", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A change that the person is to be told about now, and how to talk to them."""

    id: UUID
    state: State
    language: str | None
    locale: str | None
    phone: str | None


@dataclass(frozen=True, slots=True)
class Consent:
    """One statement of the history; docs/data-model.md tells each member."""

    id: UUID
    contact_id: UUID
    scope: str
    state: str
    source: str
    wording: str | None
    language: str | None
    account_id: UUID | None
    message_id: UUID | None
    occurred_at: datetime
    created_at: datetime
    confirmed_at: datetime | None


def record(
    connection: Connection,
    *,
    tenant_id: UUID,
    contact_id: UUID,
    state: State,
    wording: str,
    occurred_at: datetime | None,
    statement: UUID,
    now: datetime | None,
) -> Consent:
    """Add what a person said elsewhere, and let the contact's opt-in state follow.

    `statement` names it: recorded again it is the same row. `occurred_at` None, or in the future:
    now. Hold contacts first; `contact_id` is no merged one's.
    """
    row = connection.execute(
        _SQL["record"],
        {
            "tenant": tenant_id,
            "contact": contact_id,
            "state": state,
            "wording": wording,
            "occurred_at": occurred_at,
            "statement": statement,
            "now": now,
        },
    ).fetchone()
    assert row is not None
    connection.execute(_SQL["apply"], {"tenant": tenant_id, "contact": contact_id, "now": now})
    return Consent(*row)


def list_consents(
    connection: Connection,
    tenant_id: UUID,
    *,
    contact_id: UUID | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Consent]:
    """Return statements, of one contact or of all, the newest recorded first, after a position."""
    at, last = before or ("infinity", UUID(int=0))
    parameters = {
        "tenant": tenant_id,
        "contact": contact_id,
        "before": at,
        "before_id": last,
        "limit": limit,
    }
    name = "list_all" if contact_id is None else "list_of_contact"
    return [Consent(*row) for row in connection.execute(_SQL[name], parameters)]


def confirm(
    connection: Connection,
    tenant_id: UUID,
    contact_id: UUID,
    message_ids: Sequence[UUID],
    *,
    now: datetime | None,
) -> Unconfirmed | None:
    """Return the change that these messages brought, noted as confirmed; None where none did.

    In the transaction that puts the confirmation into the outbox: once per change, whoever asks.
    """
    connection.execute(_SQL["hold"], {"contact": contact_id})
    row = connection.execute(
        _SQL["confirm"],
        {
            "tenant": tenant_id,
            "contact": contact_id,
            "messages": list(message_ids),
            "now": now,
        },
    ).fetchone()
    return None if row is None else Unconfirmed(*row)
