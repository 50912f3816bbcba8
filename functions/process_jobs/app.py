"""Runs what is due: on each tick of the schedule, and when intake nudges."""

from __future__ import annotations

from typing import Any

from switchboard.kernel.log import log
from switchboard.tools import tools
from switchboard.worker import drain


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Work until nothing is due or the time is up; the event says only who asked.

    `{"source": "nudge"}` from intake, EventBridge Scheduler's event from the tick. Returns the
    counts (worker.Summary).
    """
    log.bind(request_id=getattr(context, "aws_request_id", None), source=_source(event))
    at_hand = tools()
    deadline = at_hand.clock.monotonic() + context.get_remaining_time_in_millis() / 1000
    summary = drain(at_hand, deadline).as_dict()
    log.info("worker.ended", **summary)
    return summary


def _source(event: Any) -> str:
    return str(event.get("source", "direct"))[:50] if isinstance(event, dict) else "direct"
