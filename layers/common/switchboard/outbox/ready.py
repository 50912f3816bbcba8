"""A leased attempt, with all that transmitting it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(slots=True)
class Ready:
    """One attempt under our lease.

    `intent` is what the next commit writes before it may go out (a member of p_intent of
    messaging.advance_sends); None where the reservation was the intent already.
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

    @property
    def callback_data(self) -> str:
        """The attempt's key, which comes back in its statuses."""
        return f"{self.message_id}.{self.attempt}"
