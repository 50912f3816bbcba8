"""A leased attempt, with all that transmitting it needs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


def lasts_s(
    at: datetime, kind: str, *, expires_at: datetime | None, window_expires_at: datetime | None
) -> float | None:
    """Return the seconds after `at` for which a message of `kind` is worth sending; None: any."""
    ends = [expires_at, window_expires_at if kind == "reply" else None]
    return min(((end - at).total_seconds() for end in ends if end is not None), default=None)


@dataclass(slots=True)
class Ready:
    """One attempt under our lease.

    `intent` is what the next commit writes before it may go out (a member of p_intent of
    messaging.advance_sends); None where the reservation was the intent already. `lasts_s` are the
    seconds, from when it was decided, after which it is worth nothing: its own end, or that of the
    window it answers in; None where it has none. `outside`: it is sent outside the person's window,
    and counts against the portfolio's people. `template_id` is the stored template's. `priority`:
    10 replies, 20 automations, 30 bulk.
    """

    tenant_id: UUID
    message_id: UUID
    attempt: int
    account_id: UUID
    contact_id: UUID
    phone_number_id: str
    access_token: bytes | None
    kind: str
    recipient: str
    recipient_kind: str
    message_type: str
    content: Any
    context: str | None
    extras: dict[str, Any] | None = None
    tries: int = 0
    idempotency_key: str | None = None
    decision: list[dict[str, Any]] | None = None
    intent: dict[str, Any] | None = None
    lasts_s: float | None = None
    outside: bool = False
    template_id: str | None = None
    priority: int = 10

    @property
    def callback_data(self) -> str:
        """The attempt's key, which comes back in its statuses."""
        return f"{self.message_id}.{self.attempt}"
