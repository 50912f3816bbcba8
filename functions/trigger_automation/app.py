"""Automations: which occurrences are due on each tick; outside events by direct invocation."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from switchboard import automation
from switchboard.automation import OutsideEvent
from switchboard.kernel.arguments import read
from switchboard.kernel.errors import BadRequest
from switchboard.kernel.log import log
from switchboard.tools import tools


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer a tick (`{"source": "schedule"}`) or an outside event (`{"tenant_id", "event", …}`).

    Returns how many rule runs it started. An outside event may name `subject`, `contact` and
    `occurrence` (automation.OutsideEvent). Raises BadRequest for an event that cannot be meant,
    naming the field; NotFound for a tenant that is unknown or disabled and an unknown contact.
    """
    request_id = getattr(context, "aws_request_id", None)
    log.bind(request_id=request_id)
    if event.get("source") == "schedule":
        at_hand = tools()
        deadline = at_hand.clock.monotonic() + context.get_remaining_time_in_millis() / 1000
        summary = automation.evaluate(at_hand, deadline)
        return {"started": summary.started, "passed": summary.passed, "stopped": summary.stopped}
    given = dict(event)
    try:
        tenant_id = UUID(str(given.pop("tenant_id", None)))
    except ValueError:
        raise BadRequest("tenant_id must be a tenant's id", field="tenant_id") from None
    told = read(OutsideEvent, given, unreadable=True)
    # Lambda repeats an asynchronous invocation that failed under the id of the first.
    return {"started": automation.start(tools(), tenant_id, told, telling=request_id)}
