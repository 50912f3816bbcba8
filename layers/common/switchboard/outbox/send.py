"""A caller's messages, one or many: stored, sent while there is time, answered one by one."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from switchboard.kernel.clock import uuid7
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import ProblemError, Unavailable
from switchboard.kernel.log import log
from switchboard.outbox.answers import Answer, of_message, of_problem
from switchboard.outbox.commit import commit
from switchboard.outbox.find import status_of
from switchboard.outbox.flow_tokens import refuse_used_tokens
from switchboard.outbox.outgoing import Outgoing
from switchboard.outbox.ready import Ready
from switchboard.outbox.reserve import Reservation, reserve
from switchboard.outbox.road import Result, Road
from switchboard.outbox.timing import CALLER_S, LANE_S, LEASE_S
from switchboard.store import outbox as store
from switchboard.tools import Tools


def send(
    tools: Tools, tenant_id: UUID, item: Outgoing, *, scopes: frozenset[str] | None = None
) -> Answer:
    """Send one message and return what its caller is told."""
    return send_many(tools, tenant_id, [item], scopes=scopes)[0]


def send_many(
    tools: Tools,
    tenant_id: UUID,
    items: Sequence[Outgoing],
    *,
    scopes: frozenset[str] | None = None,
) -> list[Answer]:
    """Decide and store all `items`, send what fits in 10 s; return an answer per item, in order.

    What does not fit is pending: process_jobs goes on with it. Raises Unavailable when the database
    is away before anything is stored.
    """
    refused = refuse_used_tokens(tools, tenant_id, items)
    if refused:
        left = [item for n, item in enumerate(items) if n not in refused]
        sent = iter(_send_many(tools, tenant_id, left, scopes) if left else ())
        return [of_problem(refused[n]) if n in refused else next(sent) for n in range(len(items))]
    return _send_many(tools, tenant_id, items, scopes)


def _send_many(
    tools: Tools, tenant_id: UUID, items: Sequence[Outgoing], scopes: frozenset[str] | None
) -> list[Answer]:
    until = tools.clock.monotonic() + CALLER_S
    token = uuid7()
    reservation = reserve(
        tools, lambda run: commit(tools, run), tenant_id, items, token=token, scopes=scopes
    )
    road = Road(tools, token, until=until)
    try:
        if reservation.sending or reservation.leased:
            road.run(reservation.sending, reservation.leased)
        if reservation.blocked:
            _wait_for_lanes(tools, reservation.blocked, road, token)
    except Unavailable:
        # All of them are stored and some have gone out: a caller who is told to come again would
        # send those twice. What is known is told, a worker goes on with the rest.
        log.error("outbox.database_lost", messages=len(items))
    answers = [_answer(tools, tenant_id, n, reservation, road.results) for n in range(len(items))]
    _end_leases(tools, tenant_id, items, answers)
    _log(answers)
    if any(answer.status == 202 and answer.body["status"] == "pending" for answer in answers):
        tools.nudge()
    return answers


def _wait_for_lanes(tools: Tools, blocked: Sequence[Ready], road: Road, token: UUID) -> None:
    """Send what waited behind an earlier message of its conversation, one per lane and round, and
    what its number's bucket had no room for."""
    waiting = {ready.message_id: ready for ready in blocked}
    tenant_id = blocked[0].tenant_id

    def lease(connection: Connection) -> list[UUID]:
        return store.lease(
            connection, tenant_id, token, list(waiting), lease_s=LEASE_S, now=tools.clock.now
        )

    patience = min(road.until, tools.clock.monotonic() + LANE_S)
    pause = 0.02
    while waiting:
        leased = commit(tools, lease)
        if leased:
            road.run([], [waiting.pop(message_id) for message_id in leased])
            patience = min(road.until, tools.clock.monotonic() + LANE_S)
            pause = 0.02
        elif tools.clock.monotonic() >= patience:
            return
        else:
            tools.clock.sleep(pause)
            pause = min(2 * pause, 0.1)


def _end_leases(
    tools: Tools, tenant_id: UUID, items: Sequence[Outgoing], answers: Sequence[Answer]
) -> None:
    """Let the next request with the key of a message that waits be told what became of it."""
    keys = [
        item.key
        for item, answer in zip(items, answers, strict=True)
        if item.key is not None and "id" in answer.body and answer.status in {202, 422}
    ]
    if not keys:
        return
    try:
        commit(
            tools,
            lambda connection: store.end_keys(connection, tenant_id, keys, now=tools.clock.now),
            again=True,
        )
    except Unavailable:
        # The lease ends by itself in half a minute.
        log.warning("outbox.keys_leased", keys=len(keys))


def _answer(
    tools: Tools,
    tenant_id: UUID,
    n: int,
    reservation: Reservation,
    results: dict[UUID, Result],
) -> Answer:
    if n in reservation.answers:
        return reservation.answers[n]
    if n in reservation.unfinished:
        try:
            return status_of(tools, tenant_id, reservation.unfinished[n])
        except ProblemError as error:
            # Its neighbours have answers of their own.
            return of_problem(error)
    ready = reservation.messages[n]
    result = results.get(ready.message_id, Result("pending", None, None))
    return of_message(
        ready.message_id,
        result.status,
        wa_message_id=result.wa_message_id,
        decision=[result.decision] if result.decision else ready.decision or (),
        error=result.error,
    )


def _log(answers: Sequence[Answer]) -> None:
    counts: dict[str, int] = {}
    for answer in answers:
        name = str(answer.body.get("message_status") or answer.body["status"])
        counts[name] = counts.get(name, 0) + 1
    log.info("outbox.answered", messages=len(answers), by_status=counts)
