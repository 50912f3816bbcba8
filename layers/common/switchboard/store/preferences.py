"""What people want to be told of, and the page on which they say so."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, time, timedelta
from uuid import UUID

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "preferences")


@dataclass(frozen=True, slots=True)
class Choices:
    """What was decided, and None for what never was; quiet hours are in the person's own time."""

    trip_reminders: bool | None = None
    booking_confirmations: bool | None = None
    itinerary_updates: bool | None = None
    budget_alerts: bool | None = None
    ai_suggestions: bool | None = None
    collaborator_updates: bool | None = None
    marketing: bool | None = None
    quiet_hours_enabled: bool = False
    quiet_hours_start: time | None = None
    quiet_hours_end: time | None = None
    timezone: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A person's choices, and what else decides on notifications.

    `contact_timezone` is what staff or a service wrote down, `recipient` digits, a business-scoped
    user id or nothing. `generation` is that of the links to the page that open it, `business` the
    tenant's name; `updated_at` None: nothing was ever decided.
    """

    contact_id: UUID
    opt_in_status: str
    marketing_stopped: bool
    contact_timezone: str | None
    locale: str | None
    recipient: str
    generation: int
    business: str
    updated_at: datetime | None
    choices: Choices


def read(
    connection: Connection, tenant_id: UUID, contact_id: UUID, *, hold: bool = False
) -> Known | None:
    """Return what is known of a contact that is no merged one, None for an unknown or deleted one.

    `hold`: until the commit nobody else changes it; hold contacts first.
    """
    parameters = {"tenant": tenant_id, "contact": contact_id}
    if hold:
        connection.execute(_SQL["hold"], parameters)
    row = connection.execute(_SQL["read"], parameters).fetchone()
    return None if row is None else Known(*(*row[:9], Choices(*row[9:])))


def write(connection: Connection, tenant_id: UUID, contact_id: UUID, choices: Choices) -> None:
    """Put a person's choices in place of what was there; hold the contact first."""
    connection.execute(
        _SQL["write"], {"tenant": tenant_id, "contact": contact_id, **asdict(choices)}
    )


def count_save(
    connection: Connection,
    tenant_id: UUID,
    contact_id: UUID,
    *,
    within: timedelta,
    now: datetime | None,
) -> int:
    """Return which save of the page this is, counted anew when the first is older than `within`."""
    parameters = {"tenant": tenant_id, "contact": contact_id, "within": within, "now": now}
    row = connection.execute(_SQL["count_save"], parameters).fetchone()
    assert row is not None
    return int(row[0])


def revoke(connection: Connection, tenant_id: UUID, contact_id: UUID) -> None:
    """Let no link to the page that was made before open it."""
    connection.execute(_SQL["revoke"], {"tenant": tenant_id, "contact": contact_id})
