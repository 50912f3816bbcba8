"""What the gates may look at. Whoever decides gathers it; a gate asks nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """Which gates apply: a template's category, or a free-form reply."""

    REPLY = "reply"
    UTILITY = "utility"
    AUTHENTICATION = "authentication"
    MARKETING = "marketing"


#: The categories of notifications that a person can choose among.
CATEGORIES = (
    "trip_reminders",
    "booking_confirmations",
    "itinerary_updates",
    "budget_alerts",
    "ai_suggestions",
    "collaborator_updates",
    "marketing",
)


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a template goes to.

    `opt_in` is pending, opted_in or opted_out; `marketing_stopped` is what the person told Meta.
    `wants` tells of each category whether it was chosen or refused, `quiet` the hours without
    messages in the person's own time, "HH:MM:SS" each. `marketing_sent` counts what the last
    `cap_hours` hours brought, where the tenant has a `cap`.
    """

    opt_in: str = "pending"
    marketing_stopped: bool = False
    timezone: str | None = None
    quiet: tuple[str, str] | None = None
    wants: Mapping[str, bool | None] = field(default_factory=dict)
    cap: int | None = None
    cap_hours: int = 0
    marketing_sent: int = 0


@dataclass(frozen=True, slots=True)
class Portfolio:
    """The people whom Meta lets a portfolio send to outside their windows in 24 hours.

    `counted`: this one is among them already. `room` is for how many more, `again_at` when some
    are free again.
    """

    room: int
    counted: bool
    again_at: datetime | None


@dataclass(frozen=True, slots=True)
class Facts:
    """The state of the world that one message is decided on.

    `at` is the database's time. `scopes` are those of the caller's API key; None where no key asks
    (a worker on an attempt that was reserved before, an invocation that IAM guards).
    `recipient` is digits or a business-scoped user id. `template_status` is Meta's word for a
    stored template, None for one that is not; `person` and `portfolio` are known of templates
    alone. `paused_until` is after what Meta answered, in the year 9999 where nobody knows.
    `pair_free_at` and `sendable_at` are set where Meta's limits allow nothing before.
    """

    at: datetime
    tenant_active: bool
    tenant_stopped: bool
    number_active: bool
    number_status: str
    number_stopped: bool
    has_token: bool
    is_blocked: bool
    window_expires_at: datetime | None
    recipient: str
    scopes: frozenset[str] | None = None
    expires_at: datetime | None = None
    allow_list: frozenset[str] = frozenset()
    urgent: bool = False
    notification_category: str | None = None
    paused_until: datetime | None = None
    paused_reason: str | None = None
    last_inbound_at: datetime | None = None
    opted_out_at: datetime | None = None
    confirms_consent: bool = False
    template_status: str | None = None
    person: Person | None = None
    portfolio: Portfolio | None = None
    pair_free_at: datetime | None = None
    sendable_at: datetime | None = None

    @property
    def window_open(self) -> bool:
        """Whether the person may be written to freely."""
        return self.window_expires_at is not None and self.window_expires_at > self.at


def person_of(known: Mapping[str, Any] | None) -> Person | None:
    """Return the person that sql/0028's person_of tells, None for None."""
    if known is None:
        return None
    quiet, wants = known.get("quiet"), known.get("wants") or {}
    return Person(
        opt_in=known.get("opt_in") or "pending",
        marketing_stopped=bool(known.get("marketing_stopped")),
        timezone=known.get("timezone"),
        quiet=(quiet[0], quiet[1]) if quiet else None,
        wants={name: wants.get(name) for name in CATEGORIES},
        cap=known.get("cap"),
        cap_hours=known.get("cap_hours") or 0,
        marketing_sent=known.get("marketing_sent") or 0,
    )


def portfolio_of(known: Mapping[str, Any] | None) -> Portfolio | None:
    """Return the portfolio that sql/0028's portfolio_facts tells, None for None."""
    if known is None:
        return None
    again = known.get("again_at")
    return Portfolio(
        known["room"], bool(known["counted"]), datetime.fromisoformat(again) if again else None
    )
