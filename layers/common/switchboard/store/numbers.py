"""A tenant's numbers and business accounts, as whoever asks Meta for them needs them."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "numbers")


@dataclass(frozen=True, slots=True)
class Number:
    """A number by its ids; the token is sealed."""

    account_id: UUID
    waba_id: str
    phone_number_id: str
    access_token: bytes | None


@dataclass(frozen=True, slots=True)
class BusinessAccount:
    """A business account, with the sealed token of its newest active number that has one."""

    waba_id: str
    app_id: str | None
    access_token: bytes | None


def find(connection: Connection, tenant_id: UUID, phone_number_id: str) -> Number | None:
    """Return the tenant's number, active or not, or None."""
    row = connection.execute(
        _SQL["find"], {"tenant": tenant_id, "phone_number_id": phone_number_id}
    ).fetchone()
    return None if row is None else Number(*row)


def find_account(connection: Connection, tenant_id: UUID, waba_id: str) -> BusinessAccount | None:
    """Return the tenant's business account, active or not, or None."""
    row = connection.execute(
        _SQL["find_account"], {"tenant": tenant_id, "waba_id": waba_id}
    ).fetchone()
    return None if row is None else BusinessAccount(*row)
