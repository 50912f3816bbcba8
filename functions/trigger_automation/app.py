"""Automations: which occurrences are due on each tick; outside events by direct invocation.

No automation rules exist yet, so no occurrence can be due (automation/outside.py).
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from switchboard import automation
from switchboard.kernel.errors import BadRequest
from switchboard.kernel.log import log
from switchboard.tools import tools


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer a tick (`{"source": "schedule"}`) or an outside event (`{"tenant_id", "event", …}`).

    Returns how many rule runs it started. Raises BadRequest for an event without a tenant's id or
    a name, NotFound for a tenant that is unknown or disabled.
    """
    log.bind(request_id=getattr(context, "aws_request_id", None))
    if event.get("source") == "schedule":
        return {"started": 0}
    try:
        tenant_id = UUID(str(event.get("tenant_id")))
    except ValueError:
        raise BadRequest("tenant_id must be a tenant's id", field="tenant_id") from None
    name = event.get("event")
    if not isinstance(name, str) or not name:
        raise BadRequest("event must name what happened", field="event")
    return {"started": automation.start(tools(), tenant_id, name)}
