"""What became of a message."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from switchboard.kernel.db import Connection, set_tenant
from switchboard.kernel.errors import NotFound
from switchboard.outbox.answers import Answer, of_message
from switchboard.outbox.commit import commit
from switchboard.outbox.wire import EXTRAS
from switchboard.store import outbox as store
from switchboard.tools import Tools

_TIMES = (
    "created_at",
    "occurred_at",
    "accepted_at",
    "sent_at",
    "delivered_at",
    "read_at",
    "played_at",
    "failed_at",
)


def find(tools: Tools, tenant_id: UUID, message_id: UUID) -> dict[str, Any]:
    """Return the tenant's message as GET /v1/messages/{id} shows it; raises NotFound.

    `decision` is the latest verdict, `decisions` all of them, oldest first; `timestamps` holds the
    times that are known.
    """
    row = _row(tools, tenant_id, message_id)
    if row is None:
        raise NotFound("this message is not known")
    decisions = row.pop("decision") or []
    row["decision"] = decisions[-1] if decisions else None
    row["decisions"] = decisions
    row["timestamps"] = {
        name: row.pop(name).isoformat() for name in _TIMES if row.get(name) is not None
    }
    for name in _TIMES:
        row.pop(name, None)
    row["errors"] = row["errors"] or []
    row["metadata"].pop(EXTRAS, None)
    return row


def status_of(tools: Tools, tenant_id: UUID, message_id: UUID) -> Answer:
    """Return the answer for a stored message as it is now.

    For an idempotency key whose first request died before it answered.
    """
    row = _row(tools, tenant_id, message_id)
    if row is None:
        raise NotFound("this message is not known any more")
    errors = row["errors"] or [{"code": row["error_code"], "title": row["error_message"]}]
    return of_message(
        message_id,
        row["status"],
        wa_message_id=row["wa_message_id"],
        decision=row["decision"] or (),
        error=errors[0],
    )


def _row(tools: Tools, tenant_id: UUID, message_id: UUID) -> dict[str, Any] | None:
    def read(connection: Connection) -> dict[str, Any] | None:
        with connection.transaction():
            set_tenant(connection, tenant_id)
            return store.find(connection, tenant_id, message_id)

    return commit(tools, read, again=True)
