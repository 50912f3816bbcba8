"""What a worker does: claim due attempts, ask the policy again, send; and sweep after the dead."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from functools import partial
from math import inf
from uuid import UUID

from switchboard.kernel.clock import uuid7
from switchboard.kernel.log import log
from switchboard.outbox.commit import commit
from switchboard.outbox.facts import of_attempt
from switchboard.outbox.ready import Ready, lasts_s
from switchboard.outbox.road import Road
from switchboard.outbox.timing import (
    CLAIM,
    LEASE_S,
    MARGIN_S,
    REQUEST_S,
    SOON_S,
    SWEEP,
    UNDECIDED_S,
)
from switchboard.outbox.wire import EXTRAS
from switchboard.policy import (
    Allowed,
    Deferred,
    Denied,
    Kind,
    Verdict,
    decide,
    kind_of,
    stricter,
)
from switchboard.policy.gates.expiry import EXPIRED
from switchboard.policy.verdict import document, due_at
from switchboard.store import outbox as store
from switchboard.store.outbox import Loaded
from switchboard.tools import Tools

#: Message status -> how many attempts ended in it.
Counts = Counter[str]


def run_due(tools: Tools, deadline: float) -> Counts:
    """Send what is due until nothing is, or until there is no time for another request.

    `deadline` is the stopwatch's (tools.clock.monotonic) reading at which the function must have
    ended. Raises Unavailable when the database is away.
    """
    counts: Counts = Counter()
    until = deadline - REQUEST_S - MARGIN_S
    while tools.clock.monotonic() < until:
        road = Road(tools, uuid7(), until=until)
        attempts = _claim(tools, road.token)
        if not attempts:
            break
        road.run([], attempts, more=partial(_claim, tools, road.token))
        counts.update(result.status for result in road.results.values())
    if counts["undetermined"]:
        # What was to be sent once more and may not be any more.
        log.error("outbox.undetermined", count=counts["undetermined"])
    if counts:
        log.info("outbox.ran", by_status=dict(counts))
    return counts


def sweep(tools: Tools, deadline: float = inf) -> Counts:
    """Free what dead workers leased, settle what is unconfirmed as far as it can be.

    Begins nothing after `deadline` (tools.clock.monotonic): what is left is the next sweep's.
    Returns how many messages were moved, by their new status.
    """
    counts: Counts = Counter()
    now = tools.clock.now
    for tenant_id in commit(tools, lambda connection: store.sweep(connection, now), again=True):
        recover = partial(store.recover, tenant_id=tenant_id, limit=SWEEP, now=now)
        while tools.clock.monotonic() < deadline:
            moved = commit(tools, recover, again=True)
            counts.update(status for _, status in moved)
            # Each round ends or puts off what it returns, so a full one is never the same again.
            if len(moved) < SWEEP:
                break
    if counts["undetermined"]:
        log.error("outbox.undetermined", count=counts["undetermined"])
    if counts:
        log.info("outbox.swept", by_status=dict(counts))
    return counts


def _claim(tools: Tools, token: UUID) -> list[Ready]:
    """Lease, load and decide due attempts, a slice of them; none where nothing is due."""
    now = tools.clock.now
    claimed = commit(
        tools,
        lambda connection: store.claim(connection, token, CLAIM, lease_s=LEASE_S, now=now),
    )
    attempts = []
    for tenant_id in sorted(claimed):
        read = partial(
            store.load, tenant_id=tenant_id, token=token, messages=claimed[tenant_id], now=now
        )
        for row in commit(tools, read, again=True):
            try:
                attempts.append(_decided(tools, tenant_id, row))
            except Exception as error:  # noqa: BLE001 - one message's fault is that message's only
                log.error("outbox.undecided", error=error, message_id=row.message_id)
                attempts.append(_put_off(tenant_id, row))
    return attempts


def next_in(tools: Tools) -> float | None:
    """Return the seconds until something may go out that cannot now; None: nothing soon.

    What waits for a limit or its retry is worth waiting for; a tick comes once a minute.
    """
    now = tools.clock.now
    return commit(
        tools,
        lambda connection: store.next_sends(connection, within_s=SOON_S, now=now),
        again=True,
    )


def _decided(tools: Tools, tenant_id: UUID, row: Loaded) -> Ready:
    stored = row.template or {}
    kind = Kind(row.kind)
    if stored.get("category"):
        # Meta may have told since what the template is: that can only add gates.
        kind = stricter(kind, kind_of(row.message_type, stored["category"]))
    facts = of_attempt(row, kind, allow_list=tools.settings.recipient_allow_list)
    verdict = decide(facts, kind)
    entry = document(verdict, at=row.at, attempt=row.attempt, kind=kind)
    ready = _ready(tenant_id, row)
    ready.decision = [entry]
    ready.intent = {**_intent(verdict), "decision": [entry]}
    ready.outside = kind is not Kind.REPLY and not facts.window_open
    ready.template_id = stored.get("id")
    return ready


def _put_off(tenant_id: UUID, row: Loaded) -> Ready:
    """Return an attempt that cannot be decided as one for later: a release may mend it."""
    verdict = Deferred(
        "undecided",
        "what the policy asks for could not be read, a fault of ours: it is asked again",
        until=row.at + timedelta(seconds=UNDECIDED_S),
        findings={},
    )
    entry = document(verdict, at=row.at, attempt=row.attempt, kind=row.kind)
    ready = _ready(tenant_id, row)
    ready.decision = [entry]
    ready.intent = {**_intent(verdict), "decision": [entry]}
    return ready


def _ready(tenant_id: UUID, row: Loaded) -> Ready:
    return Ready(
        tenant_id=tenant_id,
        message_id=row.message_id,
        attempt=row.attempt,
        account_id=row.account_id,
        contact_id=row.contact_id,
        phone_number_id=row.phone_number_id,
        access_token=row.access_token,
        kind=row.kind,
        recipient=row.recipient,
        recipient_kind=row.recipient_kind,
        message_type=row.message_type,
        content=row.content,
        context=row.context,
        extras=row.metadata.get(EXTRAS),
        tries=row.tries,
        priority=row.priority,
        lasts_s=lasts_s(
            row.at, row.kind, expires_at=row.expires_at, window_expires_at=row.window_expires_at
        ),
    )


def _intent(verdict: Verdict) -> dict[str, object]:
    match verdict:
        case Allowed():
            return {"verdict": "allowed"}
        case Deferred():
            return {"verdict": "deferred", "due_at": due_at(verdict)}
        case Denied():
            return {
                "verdict": "expired" if verdict.reason == EXPIRED else "denied",
                "code": verdict.reason,
                "message": verdict.hint,
            }
