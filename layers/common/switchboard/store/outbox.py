"""The send road's statements: each one call of a database function (sql/0006), one round trip.

The documents are JSON texts whose members sql/0006 tells. Each function sets the tenant itself, so
a call outside a transaction is committed when it returns. `now` is None in production: then the
database's clock decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from switchboard.kernel.db import Connection, queries, set_tenant

_SQL = queries(__package__ or "", "outbox")
_ASK, _RESERVE, _ADVANCE = _SQL["ask"], _SQL["reserve"], _SQL["advance"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the policy asks about a new message; None where the number, contact or key is unknown.

    `known_phone` and `known_user_id` are filled when the recipient was given as a contact,
    `template`, `person` and `portfolio` (sql/0028) where it is a template.
    """

    n: int
    tenant_active: bool | None
    tenant_stopped: bool
    account_id: UUID | None
    phone_number_id: str | None
    number_active: bool | None
    number_status: str | None
    number_stopped: bool
    access_token: bytes | None
    contact_id: UUID | None
    is_blocked: bool | None
    conversation_id: UUID | None
    window_expires_at: datetime | None
    known_phone: str | None
    known_user_id: str | None
    key_sha256: bytes | None
    key_answer: dict[str, Any] | None
    key_lease_until: datetime | None
    key_message_id: UUID | None
    at: datetime
    paused_until: datetime | None
    paused_reason: str | None
    last_inbound_at: datetime | None
    opted_out_at: datetime | None
    pair_free_at: datetime | None
    sendable_at: datetime | None
    template: dict[str, Any] | None
    person: dict[str, Any] | None
    portfolio: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Reserved:
    """A stored message; `reserved` is False when its idempotency key was taken meanwhile.

    `status` and `decision` (its verdicts) are as they were stored: the limits and the cap have the
    last word.
    """

    n: int
    reserved: bool
    contact_id: UUID
    conversation_id: UUID
    leased: bool
    status: str
    decision: list[dict[str, Any]] | None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A leased attempt with its message and what the policy asks."""

    message_id: UUID
    attempt: int
    account_id: UUID
    contact_id: UUID
    kind: str
    recipient: str
    recipient_kind: str
    tries: int
    expires_at: datetime | None
    message_type: str
    content: Any
    context: str | None
    metadata: dict[str, Any]
    phone_number_id: str
    tenant_active: bool
    tenant_stopped: bool
    number_active: bool
    number_status: str
    number_stopped: bool
    access_token: bytes | None
    is_blocked: bool
    window_expires_at: datetime | None
    at: datetime
    paused_until: datetime | None
    paused_reason: str | None
    last_inbound_at: datetime | None
    opted_out_at: datetime | None
    confirms_consent: bool
    template: dict[str, Any] | None
    person: dict[str, Any] | None
    notification_category: str | None
    urgent: bool
    #: 10 replies, 20 automations, 30 bulk.
    priority: int


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one attempt: settled, fenced (not ours any more), intended, held or closed."""

    message_id: UUID
    step: str
    status: str
    wa_message_id: str | None
    decision: dict[str, Any] | None = None


def ask(connection: Connection, tenant_id: UUID, items: str, now: datetime | None) -> list[Asked]:
    """Return what the policy asks about `items`, in any order of `n`."""
    rows = connection.execute(_ASK, {"tenant": tenant_id, "items": items, "now": now})
    asked = [Asked(*row) for row in rows]
    # A template's components come once, with the first message that names it.
    told = {
        one.template["id"]: one.template
        for one in asked
        if one.template is not None and "components" in one.template
    }
    return [
        one if one.template is None else replace(one, template=told[one.template["id"]])
        for one in asked
    ]


def reserve(
    connection: Connection,
    tenant_id: UUID,
    token: UUID,
    items: str,
    *,
    lease_s: float,
    now: datetime | None,
) -> list[Reserved]:
    """Store messages, attempts and idempotency keys; lease to `token` what may go out."""
    rows = connection.execute(
        _RESERVE,
        {"tenant": tenant_id, "token": token, "items": items, "lease_s": lease_s, "now": now},
    )
    return [Reserved(*row) for row in rows]


def lease(
    connection: Connection,
    tenant_id: UUID,
    token: UUID,
    messages: Sequence[UUID],
    *,
    lease_s: float,
    now: datetime | None,
) -> list[UUID]:
    """Lease those of `messages` that are due and whose lane is free; return them."""
    rows = connection.execute(
        _SQL["lease"],
        {
            "tenant": tenant_id,
            "token": token,
            "messages": list(messages),
            "lease_s": lease_s,
            "now": now,
        },
    )
    return [row[0] for row in rows]


def end_keys(
    connection: Connection, tenant_id: UUID, keys: Sequence[str], now: datetime | None
) -> None:
    """End the leases of idempotency keys whose requests were answered with a message that waits."""
    with connection.transaction():
        set_tenant(connection, tenant_id)
        connection.execute(
            _SQL["end_keys"], {"tenant": tenant_id, "keys": sorted(keys), "now": now}
        )


def claim(
    connection: Connection, token: UUID, limit: int, *, lease_s: float, now: datetime | None
) -> dict[UUID, list[UUID]]:
    """Lease due attempts of any tenant; return message ids by tenant."""
    rows = connection.execute(
        _SQL["claim"], {"token": token, "limit": limit, "lease_s": lease_s, "now": now}
    )
    claimed: dict[UUID, list[UUID]] = {}
    for tenant_id, message_id in rows:
        claimed.setdefault(tenant_id, []).append(message_id)
    return claimed


def next_sends(connection: Connection, *, within_s: float, now: datetime | None) -> float | None:
    """Return the seconds until something may go out that cannot now; None: nothing so soon."""
    row = connection.execute(_SQL["next_sends"], {"within_s": within_s, "now": now}).fetchone()
    return None if row is None else row[0]


def load(
    connection: Connection,
    tenant_id: UUID,
    token: UUID,
    messages: Sequence[UUID],
    now: datetime | None,
) -> list[Loaded]:
    """Return the attempts that `token` still leases, in the order of their reservation."""
    rows = connection.execute(
        _SQL["load"],
        {"tenant": tenant_id, "token": token, "messages": list(messages), "now": now},
    )
    return [Loaded(*row) for row in rows]


def advance(
    connection: Connection,
    tenant_id: UUID,
    token: UUID,
    *,
    settle: str,
    intent: str,
    release: Sequence[UUID],
    lease_s: float,
    now: datetime | None,
) -> list[Step]:
    """Settle a slice's attempts and mark the next slice's as intent."""
    rows = connection.execute(
        _ADVANCE,
        {
            "tenant": tenant_id,
            "token": token,
            "settle": settle,
            "intent": intent,
            "release": list(release),
            "lease_s": lease_s,
            "now": now,
        },
    )
    return [Step(*row) for row in rows]


def sweep(connection: Connection, now: datetime | None) -> list[UUID]:
    """Free leases that ended before the intent; return the tenants with attempts to recover."""
    return [row[0] for row in connection.execute(_SQL["sweep"], {"now": now})]


def recover(
    connection: Connection, tenant_id: UUID, limit: int, now: datetime | None
) -> list[tuple[UUID, str]]:
    """Move the tenant's attempts in doubt; return each moved message and its status."""
    rows = connection.execute(_SQL["recover"], {"tenant": tenant_id, "limit": limit, "now": now})
    return [(row[0], row[1]) for row in rows]


def find(connection: Connection, tenant_id: UUID, message_id: UUID) -> dict[str, Any] | None:
    """Return a message as its caller sees it, or None. Needs the tenant's transaction."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_SQL["find"], {"tenant": tenant_id, "id": message_id}).fetchone()


def number(connection: Connection, tenant_id: UUID, account_id: UUID) -> tuple[str, bytes] | None:
    """Return a sending number's phone_number_id and sealed token, or None. Needs the tenant's
    transaction."""
    row = connection.execute(
        _SQL["number"], {"tenant": tenant_id, "account": account_id}
    ).fetchone()
    return None if row is None else (row[0], bytes(row[1]))
