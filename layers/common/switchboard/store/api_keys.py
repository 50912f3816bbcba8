"""Whose an API key is, and which tenant is meant: asked before any tenant is known."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "api_keys")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A live key: its tenant, its own id, the sha256 it is stored as, its scopes."""

    tenant_id: UUID
    key_id: UUID
    key_hash: bytes
    scopes: frozenset[str]


def resolve(connection: Connection, key_hash: bytes) -> ApiKey | None:
    """Return the key with this sha256 digest; None when unknown, revoked, expired, or its tenant
    is disabled."""
    row = connection.execute(_SQL["resolve"], {"hash": key_hash}).fetchone()
    if row is None:
        return None
    return ApiKey(row[0], row[1], bytes(row[2]), frozenset(row[3]))


def resolve_tenant(connection: Connection, wanted: str) -> UUID | None:
    """Return the tenant with this slug or id, disabled or not."""
    row = connection.execute(_SQL["resolve_tenant"], {"wanted": wanted}).fetchone()
    return None if row is None else row[0]
