"""Codes that prove a number: begun, tried, ended. The code itself is never here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "verifications")

#: What the key of a code's HMAC is sealed for.
PURPOSE = "verification_key"
#: How often a code may be tried; the table's check has the same number.
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Verification:
    """One verification; `is_over` by its time. `key_sealed` goes when the code has ended."""

    id: UUID
    contact_id: UUID
    status: str
    attempts: int
    expires_at: datetime
    key_sealed: bytes | None
    is_over: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """A try that was counted, and what its code must come to."""

    code_hmac: bytes
    attempts: int


def find_number(connection: Connection, tenant_id: UUID, phone_number_id: str) -> UUID | None:
    """Return the tenant's number."""
    parameters = {"tenant": tenant_id, "phone_number_id": phone_number_id}
    row = connection.execute(_SQL["find_number"], parameters).fetchone()
    return None if row is None else row[0]


def find_category(
    connection: Connection, tenant_id: UUID, account_id: UUID, *, name: str, language: str
) -> str | None:
    """Return Meta's category of a template of the number's account, None where it is not stored.

    `language` with `_`.
    """
    parameters = {"tenant": tenant_id, "account": account_id, "name": name, "language": language}
    row = connection.execute(_SQL["find_category"], parameters).fetchone()
    return None if row is None else row[0]


def find_phone(connection: Connection, tenant_id: UUID, contact_id: UUID) -> str | None:
    """Return the phone that a contact is reached by, digits; None where none is known."""
    row = connection.execute(
        _SQL["find_phone"], {"tenant": tenant_id, "contact": contact_id}
    ).fetchone()
    return None if row is None else row[0]


def begin(
    connection: Connection,
    tenant_id: UUID,
    verification_id: UUID,
    *,
    account_id: UUID,
    contact_id: UUID,
    phone: str,
    key_sealed: bytes,
    code_hmac: bytes,
    lasts: timedelta,
    now: datetime | None,
) -> timedelta | None:
    """Begin a verification and end the person's earlier ones; the same id again is the same one.

    Returns how long to wait where the person got too many codes: then nothing is begun. Hold
    contacts first.
    """
    row = connection.execute(
        _SQL["begin"],
        {
            "tenant": tenant_id,
            "id": verification_id,
            "account": account_id,
            "contact": contact_id,
            "phone": phone,
            "key": key_sealed,
            "hmac": code_hmac,
            "lasts": lasts,
            "now": now,
        },
    ).fetchone()
    return None if row is None else row[0]


def find(
    connection: Connection, tenant_id: UUID, verification_id: UUID, *, now: datetime | None
) -> Verification | None:
    """Return a verification."""
    row = connection.execute(_SQL["find"], _one(tenant_id, verification_id, now)).fetchone()
    return None if row is None else Verification(*row)


def attempt(
    connection: Connection, tenant_id: UUID, verification_id: UUID, *, now: datetime | None
) -> Attempt | None:
    """Count a try; None where the code has ended, is over or was tried too often."""
    row = connection.execute(_SQL["attempt"], _one(tenant_id, verification_id, now)).fetchone()
    return None if row is None else Attempt(bytes(row[0]), row[1])


def verify(
    connection: Connection,
    tenant_id: UUID,
    verification_id: UUID,
    *,
    now: datetime | None,
) -> bool:
    """Note that the code was right, on the contact, its phone and the verification.

    False where the code has ended meanwhile: roll back. Hold contacts first. (Identifiers before
    contacts, as everywhere.)
    """
    parameters = _one(tenant_id, verification_id, now)
    connection.execute(_SQL["mark_phone"], parameters)
    connection.execute(_SQL["mark_contact"], parameters)
    return connection.execute(_SQL["verify"], parameters).rowcount == 1


def end_unsent(connection: Connection, tenant_id: UUID, verification_id: UUID) -> None:
    """End a verification whose message did not go out."""
    connection.execute(_SQL["end_unsent"], {"tenant": tenant_id, "id": verification_id})


def hide_code(
    connection: Connection, tenant_id: UUID, verification_id: UUID, *, now: datetime | None
) -> bool:
    """Take the code out of the stored message, unless it waits to be sent; return whether it waits.

    Without a message there is nothing to hide.
    """
    row = connection.execute(_SQL["hide_code"], _one(tenant_id, verification_id, now)).fetchone()
    return bool(row and row[0])


def forget_code(
    connection: Connection, tenant_id: UUID, verification_id: UUID, *, now: datetime | None
) -> None:
    """End a verification that is over by its time, and forget what could be guessed at."""
    connection.execute(_SQL["forget_code"], _one(tenant_id, verification_id, now))


def retire(connection: Connection, *, limit: int, now: datetime | None) -> int:
    """Delete up to `limit` of all tenants that ended 30 days ago; return how many."""
    row = connection.execute(_SQL["retire"], {"limit": limit, "now": now}).fetchone()
    assert row is not None
    return int(row[0])


def _one(tenant_id: UUID, verification_id: UUID, now: datetime | None) -> dict[str, object]:
    return {"tenant": tenant_id, "id": verification_id, "now": now}
