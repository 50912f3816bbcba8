"""Outside events: an internal service says what happened, by direct invocation."""

from __future__ import annotations

from uuid import UUID

from switchboard.kernel.errors import NotFound
from switchboard.kernel.log import log
from switchboard.store import automations
from switchboard.tools import Tools


def start(tools: Tools, tenant_id: UUID, event: str) -> int:
    """Start the rules of `tenant_id` that listen to `event`; return how many runs were started.

    The schema has no automation rules yet (docs/data-model.md says which feature brings them), so
    nothing can listen. Raises NotFound for a tenant that is unknown or disabled.
    """
    with tools.db.transaction(tenant_id) as connection:
        if not automations.is_tenant_active(connection, tenant_id):
            raise NotFound("this tenant is not known", field="tenant_id")
    log.info("automation.event", tenant_id=tenant_id, outside=event[:50], started=0)
    return 0
