"""The log of calls, and permissions to call. Intake writes both as well (store.events)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "calls")


@dataclass(frozen=True, slots=True)
class Call:
    """One call; docs/data-model.md tells each member.

    `wa_call_id` is None while a call from here has no answer of Meta's, and for good where there
    was none to give. `session` is the other side's SDP, shown with one call and never in a list.
    """

    id: UUID
    wa_call_id: str | None
    account_id: UUID
    phone_number_id: str
    conversation_id: UUID | None
    contact_id: UUID | None
    phone_number: str | None
    direction: str | None
    status: str
    end_reason: str | None
    occurred_at: datetime
    connected_at: datetime | None
    ringing_at: datetime | None
    accepted_at: datetime | None
    rejected_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    duration_seconds: int | None
    cta_payload: str | None
    deeplink_payload: str | None
    metadata: dict[str, Any]
    errors: list[Any] | None
    extras: dict[str, Any]
    session: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Step:
    """A call that a walk came by: it fits the filters, or it is the walk's last one."""

    call: Call
    matches: bool
    place: int


@dataclass(frozen=True, slots=True)
class Callee:
    """A number and the person it would call: who they are, and what speaks against it.

    `contact_id` None: nobody known. `at` is the database's time.
    """

    at: datetime
    account_id: UUID
    access_token: bytes | None
    is_tenant_active: bool
    is_number_active: bool
    number_status: str
    is_stopped: bool
    is_paused: bool
    paused_reason: str | None
    contact_id: UUID | None
    is_blocked: bool
    known_phone: str | None
    known_user_id: str | None


def walk(
    connection: Connection,
    tenant_id: UUID,
    *,
    after: tuple[datetime, UUID] | None,
    walk: int,
    limit: int,
    number: str | None = None,
    contact_id: UUID | None = None,
    direction: str | None = None,
    status: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Step]:
    """Return up to `limit` + 1 calls after a position, the newest first.

    They are those of the next `walk` that began in [since, until) that fit; the one at the place
    `walk`, if there are as many, is among them whether it fits or not. `number` is a
    phone_number_id or an account's id.
    """
    # No id is smaller than the first one, so that the time itself is out.
    at, last = after or (until or "infinity", UUID(int=0))
    parameters = {
        "tenant_id": tenant_id,
        "before": at,
        "before_id": last,
        "since": since or "-infinity",
        "walk": walk,
        "limit": limit,
        "number": number,
        "contact_id": contact_id,
        "direction": direction,
        "status": status,
    }
    statement = _SQL["list"] if contact_id is None else _SQL["list_of_contact"]
    rows = connection.execute(statement, parameters)
    return [Step(Call(*row[:-2]), *row[-2:]) for row in rows]


def load(connection: Connection, tenant_id: UUID, call_id: UUID) -> Call | None:
    """Return a call, or None."""
    row = connection.execute(_SQL["load"], {"tenant_id": tenant_id, "id": call_id}).fetchone()
    return None if row is None else Call(*row)


def find_callee(
    connection: Connection,
    tenant_id: UUID,
    phone_number_id: str,
    *,
    phone: str | None,
    contact_id: UUID | None,
    now: datetime | None,
) -> Callee | None:
    """Return what is known of a number and a person, by canonical phone or by contact.

    None where the number is not the tenant's.
    """
    row = connection.execute(
        _SQL["find_callee"],
        {
            "tenant_id": tenant_id,
            "phone_number_id": phone_number_id,
            "phone": phone,
            "contact_id": contact_id,
            "now": now,
        },
    ).fetchone()
    return None if row is None else Callee(*row)


def start(
    connection: Connection,
    *,
    tenant_id: UUID,
    call_id: UUID,
    account_id: UUID,
    contact_id: UUID | None,
    phone: str | None,
    metadata: Mapping[str, Any],
    now: datetime | None,
) -> None:
    """Add a call that Meta has not heard of, once under its id.

    Its person is the contact, or whoever has the phone: a new contact where nobody has.
    """
    connection.execute(
        _SQL["start"],
        {
            "tenant_id": tenant_id,
            "id": call_id,
            "account_id": account_id,
            "contact_id": contact_id,
            "phone": phone,
            "metadata": orjson.dumps(metadata).decode(),
            "now": now,
        },
    )


def key_of(call_id: UUID) -> str:
    """Return what goes out with a call, so that each part of it finds its row (call_of_key)."""
    return f"call.{call_id}"


def settle(
    connection: Connection,
    tenant_id: UUID,
    call_id: UUID,
    *,
    wa_call_id: str | None,
    errors: Sequence[Mapping[str, Any]],
    now: datetime | None,
) -> None:
    """Keep what Meta answered: its id of the call, or `errors`. What webhooks have told stands."""
    connection.execute(
        _SQL["settle"],
        {
            "tenant_id": tenant_id,
            "id": call_id,
            "wa_call_id": wa_call_id,
            "errors": orjson.dumps(errors).decode(),
            "now": now,
        },
    )


def answer(
    connection: Connection,
    tenant_id: UUID,
    call_id: UUID,
    *,
    accepted: bool,
    now: datetime | None,
) -> None:
    """Keep that a person's call was accepted or rejected from here."""
    parameters = {"tenant_id": tenant_id, "id": call_id, "accepted": accepted, "now": now}
    connection.execute(_SQL["answer"], parameters)


def keep_permission(
    connection: Connection,
    *,
    tenant_id: UUID,
    account_id: UUID,
    contact_id: UUID,
    response: str,
    is_permanent: bool,
    expires_at: datetime | None,
    told_at: datetime,
    now: datetime | None,
) -> None:
    """Keep what Meta said of a permission, unless something newer is known."""
    connection.execute(
        _SQL["keep_permission"],
        {
            "tenant_id": tenant_id,
            "account_id": account_id,
            "contact_id": contact_id,
            "response": response,
            "is_permanent": is_permanent,
            "expires_at": expires_at,
            "told_at": told_at,
            "now": now,
        },
    )
