"""Runs what is due: on each tick of the schedule, and when intake nudges; hears what SES tells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from switchboard.kernel.log import log
from switchboard.tools import Tools, tools
from switchboard.worker import drain

#: Seconds that an event may take while the database is busy: with less than that none is begun.
EVENT_S = 15.0


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Work until nothing is due or the time is up; the event says only who asked.

    `{"source": "nudge"}` from intake, EventBridge Scheduler's event from the tick. Returns the
    counts (worker.Summary). Events of SES, by SQS or as EventBridge has them, are taken and nothing
    else is done.
    """
    log.bind(request_id=getattr(context, "aws_request_id", None), source=_source(event))
    at_hand = tools()
    deadline = at_hand.clock.monotonic() + context.get_remaining_time_in_millis() / 1000
    if "Records" in event:
        return _take_records(at_hand, event["Records"], deadline)
    if event.get("source") == "aws.ses":
        return {"mail_event": _take(at_hand, event)}
    summary = drain(at_hand, deadline).as_dict()
    log.info("worker.ended", **summary)
    return summary


def _take_records(at_hand: Tools, records: list[dict[str, Any]], deadline: float) -> dict[str, Any]:
    """Take a batch of SQS; what could not be taken, or not in time, is named and comes again."""
    failed = []
    for record in records:
        if at_hand.clock.monotonic() > deadline - EVENT_S:
            failed.append({"itemIdentifier": record.get("messageId")})
            continue
        try:
            _take(at_hand, _event_of(record))
        except Exception as error:  # noqa: BLE001 - one event's failure is that event's only
            log.error("email.event_failed", error=error)
            failed.append({"itemIdentifier": record.get("messageId")})
    return {"batchItemFailures": failed}


def _event_of(record: Mapping[str, Any]) -> dict[str, Any]:
    try:
        event = json.loads(record["body"])
    except (KeyError, TypeError, ValueError, RecursionError):
        event = None
    # What is no event is kept as one that says nothing of any mail.
    return event if isinstance(event, dict) else {"body": str(record.get("body"))}


def _take(at_hand: Tools, event: dict[str, Any]) -> str:
    # Most invocations are about no mail: their cold start pays for none of it.
    from switchboard import mail

    return mail.take(at_hand, event)


def _source(event: Any) -> str:
    return str(event.get("source", "direct"))[:50] if isinstance(event, dict) else "direct"
