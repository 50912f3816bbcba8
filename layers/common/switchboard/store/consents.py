"""Consents: what people have agreed to and taken back, and whether they were told so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "consents")


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A change that the person is to be told about now, and how to talk to them."""

    id: UUID
    state: Literal["given", "withdrawn"]
    language: str | None
    locale: str | None
    phone: str | None


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
