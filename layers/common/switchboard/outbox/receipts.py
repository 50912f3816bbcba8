"""Read receipts and the typing indicator: at least once, tracked nowhere, never in the way.

Both are idempotent by nature, and a failure must never block a reply (Cloud API, mark as read).
"""

from __future__ import annotations

from uuid import UUID

from switchboard.kernel.db import Connection, set_tenant
from switchboard.kernel.log import log
from switchboard.outbox.commit import commit
from switchboard.store import outbox as store
from switchboard.tools import Tools
from switchboard.whatsapp.client import Accepted


def mark_read(
    tools: Tools,
    *,
    tenant_id: UUID,
    account_id: UUID,
    wa_message_id: str,
    typing: bool = False,
) -> bool:
    """Mark an inbound message (and all before it) as read; `typing` shows the indicator as well.

    Returns whether Meta took it. Never raises; a stopped or inactive number marks nothing.
    """

    def read(connection: Connection) -> tuple[str, bytes] | None:
        with connection.transaction():
            set_tenant(connection, tenant_id)
            return store.number(connection, tenant_id, account_id)

    try:
        number = commit(tools, read, again=True)
        if number is None:
            return False
        token = tools.sealer.unseal(number[1], tenant_id=tenant_id, purpose="access_token")
        outcome = tools.graph.mark_read(number[0], token, wa_message_id, typing=typing)
    except Exception as error:  # noqa: BLE001 - never in the way, whatever it is
        log.warning("outbox.not_marked_read", error_type=type(error).__name__)
        return False
    if not isinstance(outcome, Accepted):
        log.warning("outbox.not_marked_read", outcome=type(outcome).__name__)
    return isinstance(outcome, Accepted)
