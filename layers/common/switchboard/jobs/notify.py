"""Tells a subscriber's endpoint of one event: at least once, signed, never for ever.

Standard Webhooks (standardwebhooks.com): the headers webhook-id (the same at every attempt: by it
the receiver tells a repetition), webhook-timestamp and webhook-signature, HMAC-SHA256 over
`<id>.<timestamp>.<body>` with the secret's bytes. Any 2xx is success, 410 ends the subscription,
everything else (a redirect too) is tried again for days. An attempt is recorded in the transaction
that completes its job: a worker that dies between the two makes another attempt, never none.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson

from switchboard.jobs._kind import Args, Context, Effects, JobKind
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import ConfigurationError, Snooze
from switchboard.kernel.outside import AddressRefused, OutsideFailed
from switchboard.kernel.signing import sign
from switchboard.store import subscriptions as store
from switchboard.store.subscriptions import PURPOSE, Due
from switchboard.tools import Tools

#: Seconds of a whole attempt: replies wait behind it.
ATTEMPT_S = 5.0
#: Bytes of an answer that are read; what it says does not matter.
_MOST = 16_384
_TYPES = {
    "message": "message.received",
    "status": "message.status",
    "echo": "message.echo",
    "call": "call.status",
    "test": "test",
}


class Notify(Args):
    """The delivery to attempt."""

    delivery_id: UUID


def run(context: Context, args: Notify) -> Effects:
    """Make one attempt. Raises Snooze while the endpoint rests after failures."""
    tools, tenant_id = context.tools, context.tenant_id
    now = tools.clock.now
    with tools.db.transaction(tenant_id) as connection:
        due = store.load(connection, tenant_id, args.delivery_id, now=now)
        if due is None:
            return Effects(result={"state": "finished_before"})
        if due.is_active and due.rests_until is not None:
            raise Snooze(due.rests_until)
        event: dict[str, Any] | None = {}
        if due.is_active and due.kind != "test":
            event = store.load_event(connection, tenant_id, due)
    if not due.is_active or event is None:
        reason = "event_gone" if due.is_active else "subscription_disabled"
        if due.url is None:
            reason = "subscription_deleted"

        def end(connection: Connection) -> None:
            store.end_delivery(connection, tenant_id, args.delivery_id, reason, now=now)

        return Effects(writes=(end,), result={"state": reason})
    body = orjson.dumps(
        {
            "type": _TYPES[due.kind],
            "timestamp": due.created_at,
            "tenant_id": tenant_id,
            "data": event,
        },
        option=orjson.OPT_UTC_Z,
    )
    attempt = _attempt(tools, tenant_id, args.delivery_id, due, body)
    status = attempt["status"]

    def record(connection: Connection) -> None:
        store.record_attempt(
            connection,
            tenant_id,
            args.delivery_id,
            attempt,
            taken=attempt["error"] is None,
            gone=status == 410,
            now=now,
        )

    return Effects(writes=(record,), result={"status": status, "error": attempt["error"]})


def _attempt(
    tools: Tools, tenant_id: UUID, delivery_id: UUID, due: Due, body: bytes
) -> dict[str, Any]:
    """Return what came of one request: HTTP status and a word for the failure, each or None."""
    began = tools.clock.monotonic()
    status: int | None = None
    error: str | None = None
    try:
        headers = _headers(tools, tenant_id, str(delivery_id), due, body)
        with tools.outside.request(
            "POST",
            str(due.url),
            headers=headers,
            content=body,
            total_s=ATTEMPT_S,
            most=_MOST,
        ) as answer:
            status = answer.status
        if not 200 <= status < 300:
            error = "redirect" if 300 <= status < 400 else "http_status"
    except AddressRefused:
        error = "address_refused"
    except OutsideFailed as failed:
        error = failed.reason
    except ConfigurationError:
        error = "secret_unreadable"
    ms = round((tools.clock.monotonic() - began) * 1000)
    return {"status": status, "error": error, "ms": ms}


def _headers(tools: Tools, tenant_id: UUID, event_id: str, due: Due, body: bytes) -> dict[str, str]:
    timestamp = int(tools.clock.wall().timestamp())
    signatures = [
        sign(
            tools.sealer.unseal(sealed, tenant_id=tenant_id, purpose=PURPOSE),
            event_id,
            timestamp,
            body,
        )
        for sealed in (due.secret_sealed, due.secret_previous_sealed)
        if sealed is not None
    ]
    return {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


KIND = JobKind(name="notify", args=Notify, run=run, needs_s=15.0)
