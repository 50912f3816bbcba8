"""What automations read."""

from __future__ import annotations

from uuid import UUID

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "automations")


def is_tenant_active(connection: Connection, tenant_id: UUID) -> bool:
    """Return whether there is such a tenant and it is not disabled; needs its transaction."""
    return (
        connection.execute(_SQL["is_tenant_active"], {"tenant": tenant_id}).fetchone() is not None
    )
