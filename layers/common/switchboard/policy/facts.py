"""What the gates may look at. Whoever decides gathers it; a gate asks nobody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """Which gates apply: a template's category, or a free-form reply."""

    REPLY = "reply"
    UTILITY = "utility"
    AUTHENTICATION = "authentication"
    MARKETING = "marketing"


@dataclass(frozen=True, slots=True)
class Facts:
    """The state of the world that one message is decided on.

    `at` is the database's time. `scopes` are those of the caller's API key; None where no key asks
    (a worker on an attempt that was reserved before, an invocation that IAM guards).
    `recipient` is canonical digits or a business-scoped user id.
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
