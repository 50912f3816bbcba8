"""Automations: which occurrences are due on each tick; outside events by direct invocation.

The schema has no automation rules yet (docs/data-model.md says which feature brings them), so no
occurrence can be due and nothing listens to an event. What is here is the edge: its schedule, its
role and its answers stand, and an event that cannot be meant is refused.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from switchboard.kernel.errors import BadRequest
from switchboard.kernel.log import log


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer a tick (`{"source": "schedule"}`) or an outside event (`{"tenant_id", "event", …}`).

    Returns how many rule runs it started. Raises BadRequest for an event without a tenant's id or
    a name.
    """
    log.bind(request_id=getattr(context, "aws_request_id", None))
    if event.get("source") != "schedule":
        _check(event)
    return {"started": 0}


def _check(event: dict[str, Any]) -> None:
    try:
        UUID(str(event.get("tenant_id")))
    except ValueError:
        raise BadRequest("tenant_id must be a tenant's id", field="tenant_id") from None
    name = event.get("event")
    if not isinstance(name, str) or not name:
        raise BadRequest("event must name what happened", field="event")
