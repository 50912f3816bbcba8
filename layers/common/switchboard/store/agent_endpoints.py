"""Endpoints of a tenant's own that automations ask."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "agent_endpoints")

#: What the secrets are sealed for.
PURPOSE = "agent_secret"


@dataclass(frozen=True, slots=True)
class AgentEndpoint:
    """An endpoint, without its secret."""

    id: UUID
    name: str
    url: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Signing:
    """An endpoint as it is asked; the secret before the present one signs for a day."""

    url: str
    secret_sealed: bytes
    secret_previous_sealed: bytes | None


def list_all(connection: Connection, tenant_id: UUID) -> list[AgentEndpoint]:
    """Return all endpoints by their names; there are few."""
    return (
        connection.cursor(row_factory=class_row(AgentEndpoint))
        .execute(_SQL["list"], {"tenant": tenant_id})
        .fetchall()
    )


def find(connection: Connection, tenant_id: UUID, endpoint_id: UUID) -> AgentEndpoint | None:
    """Return an endpoint."""
    return (
        connection.cursor(row_factory=class_row(AgentEndpoint))
        .execute(_SQL["find"], {"tenant": tenant_id, "id": endpoint_id})
        .fetchone()
    )


def find_named(
    connection: Connection, tenant_id: UUID, name: str, *, now: datetime | None
) -> Signing | None:
    """Return the endpoint of that name, with what signs."""
    return (
        connection.cursor(row_factory=class_row(Signing))
        .execute(_SQL["find_named"], {"tenant": tenant_id, "name": name, "now": now})
        .fetchone()
    )


def insert(
    connection: Connection,
    tenant_id: UUID,
    endpoint_id: UUID,
    *,
    name: str,
    url: str,
    secret_sealed: bytes,
    most: int,
) -> None:
    """Put an endpoint in, unless there are `most`; raises UniqueViolation for a name in use."""
    connection.execute(
        _SQL["insert"],
        {
            "tenant": tenant_id,
            "id": endpoint_id,
            "name": name,
            "url": url,
            "sealed": secret_sealed,
            "most": most,
        },
    )


def change(connection: Connection, tenant_id: UUID, endpoint_id: UUID, *, url: str) -> None:
    """Change an endpoint's address."""
    connection.execute(_SQL["change"], {"tenant": tenant_id, "id": endpoint_id, "url": url})


def rotate(
    connection: Connection,
    tenant_id: UUID,
    endpoint_id: UUID,
    *,
    secret_sealed: bytes,
    now: datetime | None,
) -> None:
    """Give an endpoint a new secret; the present one signs beside it for a day."""
    connection.execute(
        _SQL["rotate"],
        {"tenant": tenant_id, "id": endpoint_id, "sealed": secret_sealed, "now": now},
    )


def delete(connection: Connection, tenant_id: UUID, endpoint_id: UUID) -> None:
    """Forget an endpoint."""
    connection.execute(_SQL["delete"], {"tenant": tenant_id, "id": endpoint_id})
