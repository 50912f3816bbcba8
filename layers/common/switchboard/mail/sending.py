"""One attempt at one mail: decide, mark the intent, hand it to SES, settle; each committed alone.

SES has no key by which it would know a repetition. So what was begun is never begun again unless it
is known that nothing went out: a worker that dies between intent and settlement leaves a mail that
is `unconfirmed`, and an event of SES says later what became of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never
from uuid import UUID

from switchboard.kernel.db import Connection
from switchboard.mail.verdict import NoAddress, ask, judge, status_of
from switchboard.policy import Allowed
from switchboard.policy.verdict import document
from switchboard.ses.client import (
    EMAIL_TAG,
    TENANT_TAG,
    Accepted,
    Answer,
    Later,
    Letter,
    Refused,
    Unconfirmed,
)
from switchboard.store import emails as store
from switchboard.store.emails import Asked, Open, Settlement
from switchboard.tools import Tools
from switchboard.transact import transact

#: How long an attempt may take, connection and settlement included.
LEASE = timedelta(seconds=60)
#: Seconds until SES is asked again: the first, the longest; where a person must act first.
_FIRST_S, _LONGEST_S, _HELD_S = 5.0, 900.0, 900.0

#: Returns the address of the person's own page, None where there is none.
Unsubscribe = Callable[[UUID], str | None]


@dataclass(frozen=True, slots=True)
class Attempted:
    """How a mail stands now; `again_at`: when it is to be attempted again."""

    status: str
    again_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Begun:
    """A mail whose intent is committed."""

    mail: Open
    known: Asked
    attempt: int


def attempt(
    tools: Tools, tenant_id: UUID, email_id: UUID, *, unsubscribe: Unsubscribe
) -> Attempted:
    """Send a mail if it may go out now. Done again after it has ended, it changes nothing."""
    contact_id = transact(
        tools, tenant_id, lambda connection: store.find_contact(connection, tenant_id, email_id)
    )
    # Asked before the intent: it may fail, and then nothing has begun.
    link = None if contact_id is None else unsubscribe(contact_id)
    token = tools.clock.new_id()
    begun = transact(
        tools,
        tenant_id,
        lambda connection: _begin(tools, connection, tenant_id, email_id, token),
    )
    if isinstance(begun, Attempted):
        return begun
    answer = tools.ses.send(_letter(tenant_id, begun, link))
    settlement = settlement_of(answer, begun.attempt)
    return _settle(
        tools, tenant_id, email_id, number=begun.attempt, token=token, settlement=settlement
    )


def _begin(
    tools: Tools, connection: Connection, tenant_id: UUID, email_id: UUID, token: UUID
) -> _Begun | Attempted:
    now = tools.clock.now
    store.hold(connection, tenant_id)
    mail = store.lock(connection, tenant_id, email_id, now=now)
    if mail is None:
        return Attempted("gone")
    if mail.status == "sending" and mail.lease_token != token:
        return _overtake(tools, connection, tenant_id, mail)
    if mail.status not in {"pending", "sending"}:
        return Attempted(mail.status)
    if mail.status == "sending":
        # The link was lost at the commit, and the intent was committed all the same.
        known = store.ask(connection, tenant_id, mail.contact_id, address=mail.address, now=now)
        assert known is not None
        return _Begun(mail, known, mail.attempt)
    try:
        # The address of now: a person may have changed it, or taken it away, while the mail waited.
        found = ask(connection, tenant_id, mail.contact_id, now=now)
    except NoAddress as none:
        return _deny(connection, tenant_id, mail, str(none), now)
    if found is None:
        return _deny(connection, tenant_id, mail, "contact_deleted", now)
    known, address = found
    verdict = judge(
        tools.settings,
        known,
        category=mail.category,
        notification_category=mail.notification_category,
        expires_at=mail.expires_at,
    )
    decision = document(verdict, at=known.at, attempt=mail.attempt + 1, kind=mail.category)
    if isinstance(verdict, Allowed):
        number = store.begin(
            connection,
            tenant_id,
            email_id,
            token=token,
            lease=LEASE,
            address=address,
            decision=decision,
            now=now,
        )
        return _Begun(replace(mail, address=address), known, number)
    status, due_at = status_of(verdict, known.at)
    store.hold_back(
        connection,
        tenant_id,
        email_id,
        status=status,
        reason=verdict.reason,
        decision=decision,
        due_at=due_at,
        now=now,
    )
    return Attempted(status, due_at if status == "pending" else None)


def _deny(
    connection: Connection, tenant_id: UUID, mail: Open, reason: str, now: datetime | None
) -> Attempted:
    store.hold_back(
        connection,
        tenant_id,
        mail.id,
        status="denied",
        reason=reason,
        decision={"at": mail.at.isoformat(), "verdict": "denied", "reason": reason},
        now=now,
    )
    return Attempted("denied")


def _overtake(tools: Tools, connection: Connection, tenant_id: UUID, mail: Open) -> Attempted:
    """Come after a worker that began: its time is over, or it may still be at it."""
    assert mail.lease_until is not None
    assert mail.lease_token is not None
    if mail.lease_until > mail.at:
        return Attempted("sending", mail.lease_until)
    lost = Settlement(
        status="unconfirmed",
        log_status="unconfirmed",
        reason="worker_lost",
        code="worker_lost",
        message="the worker ended before SES had answered",
    )
    store.settle(
        connection,
        tenant_id,
        mail.id,
        attempt=mail.attempt,
        token=mail.lease_token,
        settlement=lost,
        log_id=tools.clock.new_id(),
        now=tools.clock.now,
    )
    return Attempted("unconfirmed")


def _letter(tenant_id: UUID, begun: _Begun, link: str | None) -> Letter:
    mail, known = begun.mail, begun.known
    assert known.email_from is not None
    return Letter(
        sender=known.email_from,
        sender_name=known.email_from_name,
        reply_to=known.email_reply_to,
        to=mail.address,
        subject=mail.subject,
        text=mail.text_body,
        html=mail.html_body,
        unsubscribe=link,
        # It takes marketing back: of other mails a person decides on the page.
        one_click=mail.category == "marketing",
        tags={TENANT_TAG: str(tenant_id), EMAIL_TAG: str(mail.id)},
    )


def settlement_of(answer: Answer, attempt: int) -> Settlement:
    """Return what an answer of SES makes of a mail."""
    match answer:
        case Accepted():
            return Settlement(
                status="sent",
                log_status="accepted",
                ses_message_id=answer.message_id,
                response=answer.response,
            )
        case Refused():
            return Settlement(
                status="failed",
                log_status="failed",
                reason=answer.code,
                code=answer.code,
                message=answer.message,
            )
        case Later():
            longest = min(_LONGEST_S, _FIRST_S * 2 ** min(attempt - 1, 10))
            return Settlement(
                status="pending",
                log_status="deferred",
                reason=answer.code,
                code=answer.code,
                message=answer.message,
                # Half of it by chance: those who were refused together do not meet again.
                delay_s=_HELD_S if answer.held else longest * random.uniform(0.5, 1.0),
            )
        case Unconfirmed():
            return Settlement(
                status="unconfirmed",
                log_status="unconfirmed",
                reason=answer.code,
                code=answer.code,
                message=answer.message,
            )
        case _:
            assert_never(answer)


def _settle(
    tools: Tools,
    tenant_id: UUID,
    email_id: UUID,
    *,
    number: int,
    token: UUID,
    settlement: Settlement,
) -> Attempted:
    log_id = tools.clock.new_id()  # named once: the work may run twice

    def write(connection: Connection) -> Attempted:
        settled = store.settle(
            connection,
            tenant_id,
            email_id,
            attempt=number,
            token=token,
            settlement=settlement,
            log_id=log_id,
            now=tools.clock.now,
        )
        if settled is None:
            # An event was quicker, or we were too slow and it is unconfirmed by now.
            mail = store.lock(connection, tenant_id, email_id, now=tools.clock.now)
            assert mail is not None
            settled = (mail.status, mail.due_at)
        status, due_at = settled
        return Attempted(status, due_at if status == "pending" else None)

    return transact(tools, tenant_id, write)
