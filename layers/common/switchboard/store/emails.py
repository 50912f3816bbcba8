"""E-mails: decided, sent once, and what SES told of them; addresses that get nothing more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple
from uuid import UUID

import orjson
from psycopg.rows import class_row

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "emails")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the policy looks at before a mail to a person; `person` as sql/0028's person_of."""

    at: datetime
    contact_id: UUID
    tenant_active: bool
    tenant_stopped: bool
    email_from: str | None
    email_from_name: str | None
    email_reply_to: str | None
    email: str | None
    phone_number: str | None
    is_blocked: bool
    person: Mapping[str, Any]
    withdrawn: bool
    suppressed: Literal["bounce", "complaint"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEmail:
    """A mail as it is put in: written out, and decided a first time."""

    id: UUID
    contact_id: UUID
    rule_id: UUID | None
    run_id: UUID | None
    template_id: UUID
    template_name: str
    language: str
    category: str
    notification_category: str | None
    address: str
    subject: str
    text_body: str
    html_body: str | None
    status: str
    reason: str | None
    decision: Mapping[str, Any]
    due_at: datetime | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Open:
    """A mail, its row locked; `at` is the database's time."""

    id: UUID
    contact_id: UUID
    category: str
    notification_category: str | None
    address: str
    subject: str
    text_body: str
    html_body: str | None
    status: str
    attempt: int
    lease_token: UUID | None
    lease_until: datetime | None
    due_at: datetime
    expires_at: datetime
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What came of an attempt: the mail's status from now on, and the log's row."""

    status: Literal["sent", "failed", "pending", "unconfirmed"]
    log_status: Literal["accepted", "failed", "deferred", "unconfirmed"]
    reason: str | None = None
    ses_message_id: str | None = None
    response: Mapping[str, Any] | None = None
    code: str | None = None
    message: str | None = None
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Email:
    """A mail as people see it; docs/data-model.md tells each member."""

    id: UUID
    contact_id: UUID
    rule_id: UUID | None
    run_id: UUID | None
    template_name: str
    language: str
    category: str
    notification_category: str | None
    address: str
    subject: str
    status: str
    reason: str | None
    attempt: int
    ses_message_id: str | None
    sent_at: datetime | None
    delivered_at: datetime | None
    bounced_at: datetime | None
    complained_at: datetime | None
    expires_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class WholeEmail(Email):
    """A mail with its texts, why it was decided as it was, and what SES told of it."""

    text_body: str
    html_body: str | None
    decisions: Sequence[Mapping[str, Any]]
    events: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Suppression:
    """An address that gets nothing more of the tenant, and for which mail's sake."""

    id: UUID
    address: str
    reason: str
    detail: str | None
    email_id: UUID
    contact_id: UUID
    occurred_at: datetime
    created_at: datetime


def ask(
    connection: Connection,
    tenant_id: UUID,
    contact_id: UUID,
    *,
    address: str | None = None,
    now: datetime | None,
) -> Asked | None:
    """Return what is known of a contact, or of its root; `address` instead of its present one.

    None where there is no such contact.
    """
    return (
        connection.cursor(row_factory=class_row(Asked))
        .execute(
            _SQL["ask"],
            {"tenant": tenant_id, "contact": contact_id, "address": address, "now": now},
        )
        .fetchone()
    )


def insert(
    connection: Connection, tenant_id: UUID, email: NewEmail, *, now: datetime | None
) -> None:
    """Put a mail in. Hold contacts first."""
    given = {name: getattr(email, name) for name in NewEmail.__slots__}
    given |= {"contact": email.contact_id, "decision": orjson.dumps(email.decision).decode()}
    connection.execute(_SQL["insert"], {**given, "tenant": tenant_id, "now": now})


def hold(connection: Connection, tenant_id: UUID) -> None:
    """Hold contacts until the commit: first of all locks, where rows that name one are written."""
    connection.execute(_SQL["hold_contacts"], {"tenant": tenant_id})


def find_contact(connection: Connection, tenant_id: UUID, email_id: UUID) -> UUID | None:
    """Return whom a pending mail is for; None for any other."""
    row = connection.execute(_SQL["find_contact"], {"tenant": tenant_id, "id": email_id}).fetchone()
    return None if row is None else row[0]


def lock(
    connection: Connection, tenant_id: UUID, email_id: UUID, *, now: datetime | None
) -> Open | None:
    """Return a mail, its row locked."""
    return (
        connection.cursor(row_factory=class_row(Open))
        .execute(_SQL["lock"], {"tenant": tenant_id, "id": email_id, "now": now})
        .fetchone()
    )


def begin(
    connection: Connection,
    tenant_id: UUID,
    email_id: UUID,
    *,
    token: UUID,
    lease: timedelta,
    address: str,
    decision: Mapping[str, Any],
    now: datetime | None,
) -> int:
    """Mark a pending mail as intent under `token`, to `address`; return the attempt's number."""
    row = connection.execute(
        _SQL["begin"],
        {
            "tenant": tenant_id,
            "id": email_id,
            "token": token,
            "lease": lease,
            "address": address,
            "decision": orjson.dumps(decision).decode(),
            "now": now,
        },
    ).fetchone()
    assert row is not None  # the row is locked, and pending
    return int(row[0])


def hold_back(
    connection: Connection,
    tenant_id: UUID,
    email_id: UUID,
    *,
    status: str,
    reason: str,
    decision: Mapping[str, Any],
    due_at: datetime | None = None,
    now: datetime | None,
) -> None:
    """Let a pending mail wait until `due_at`, or never go out."""
    connection.execute(
        _SQL["hold_back"],
        {
            "tenant": tenant_id,
            "id": email_id,
            "status": status,
            "reason": reason,
            "decision": orjson.dumps(decision).decode(),
            "due_at": due_at,
            "now": now,
        },
    )


def settle(
    connection: Connection,
    tenant_id: UUID,
    email_id: UUID,
    *,
    attempt: int,
    token: UUID,
    settlement: Settlement,
    log_id: UUID,
    now: datetime | None,
) -> tuple[str, datetime] | None:
    """Record what came of an attempt, and return the mail's status and when it is due.

    None: the attempt is another's by now, and nothing was written. Twice is once (`log_id`).
    """
    hold(connection, tenant_id)
    response = settlement.response
    row = connection.execute(
        _SQL["settle"],
        {
            "tenant": tenant_id,
            "id": email_id,
            "attempt": attempt,
            "token": token,
            "log_id": log_id,
            "status": settlement.status,
            "log_status": settlement.log_status,
            "reason": settlement.reason,
            "ses_message_id": settlement.ses_message_id,
            "response": None if response is None else orjson.dumps(response).decode(),
            "code": settlement.code,
            "message": settlement.message,
            "delay_s": settlement.delay_s,
            "now": now,
        },
    ).fetchone()
    return None if row is None else (row[0], row[1])


def take_event(
    connection: Connection,
    tenant_id: UUID,
    email_id: UUID,
    event: Mapping[str, Any],
    *,
    log_id: UUID,
    now: datetime | None,
) -> Literal["taken", "again"] | None:
    """Take what SES told of a mail (ses/events.py); None where the tenant has none of that id."""
    row = connection.execute(
        _SQL["take_event"],
        {
            "tenant": tenant_id,
            "id": email_id,
            "event": orjson.dumps(event).decode(),
            "log_id": log_id,
            "now": now,
        },
    ).fetchone()
    assert row is not None
    told: Literal["taken", "again"] | None = row[0]
    return told


def list_emails(
    connection: Connection,
    tenant_id: UUID,
    *,
    contact_id: UUID | None,
    status: str | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Email]:
    """Return mails, of one contact or of one status or all, the newest first."""
    at, last = before or ("infinity", UUID(int=0))
    name = "list" if status is None else "list_of_status"
    return (
        connection.cursor(row_factory=class_row(Email))
        .execute(
            _SQL[name if contact_id is None else "list_of_contact"],
            {
                "tenant": tenant_id,
                "contact": contact_id,
                "status": status,
                "before": at,
                "before_id": last,
                "limit": limit,
            },
        )
        .fetchall()
    )


def show(connection: Connection, tenant_id: UUID, email_id: UUID) -> WholeEmail | None:
    """Return a mail with all that is known of it."""
    return (
        connection.cursor(row_factory=class_row(WholeEmail))
        .execute(_SQL["show"], {"tenant": tenant_id, "id": email_id})
        .fetchone()
    )


def list_suppressions(
    connection: Connection,
    tenant_id: UUID,
    *,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Suppression]:
    """Return addresses that get nothing more, the newest first."""
    at, last = before or ("infinity", UUID(int=0))
    return (
        connection.cursor(row_factory=class_row(Suppression))
        .execute(
            _SQL["list_suppressions"],
            {"tenant": tenant_id, "before": at, "before_id": last, "limit": limit},
        )
        .fetchall()
    )


def lock_suppression(
    connection: Connection, tenant_id: UUID, suppression_id: UUID
) -> Suppression | None:
    """Return a suppression, its row locked."""
    return (
        connection.cursor(row_factory=class_row(Suppression))
        .execute(_SQL["lock_suppression"], {"tenant": tenant_id, "id": suppression_id})
        .fetchone()
    )


def delete_suppression(connection: Connection, tenant_id: UUID, suppression_id: UUID) -> None:
    """Let an address get mails again."""
    connection.execute(_SQL["delete_suppression"], {"tenant": tenant_id, "id": suppression_id})


class Retired(NamedTuple):
    """How many mails were forgotten, and the place to go on behind; no tenant: that was all."""

    gone: int
    tenant_id: UUID | None
    created_at: datetime | None
    id: UUID | None


#: Before the first mail.
BEGINNING = Retired(0, UUID(int=0), None, None)


def retire(
    connection: Connection, *, keep: timedelta, limit: int, after: Retired, now: datetime | None
) -> Retired:
    """Forget mails of which nothing was heard for `keep` and that cannot go out, of any tenant.

    It looks at no more than `limit` mails behind `after`.
    """
    row = connection.execute(
        _SQL["retire"],
        {
            "keep": keep,
            "limit": limit,
            "tenant_id": after.tenant_id,
            "created": after.created_at,
            "id": after.id,
            "now": now,
        },
    ).fetchone()
    assert row is not None
    return Retired(*row)
