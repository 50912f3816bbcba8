"""Facts in which nothing speaks against a message; a test changes what it is about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from switchboard.policy import Facts

AT = datetime(2031, 3, 4, 12, 0, tzinfo=UTC)

GOOD = Facts(
    at=AT,
    tenant_active=True,
    tenant_stopped=False,
    number_active=True,
    number_status="connected",
    number_stopped=False,
    has_token=True,
    is_blocked=False,
    window_expires_at=AT + timedelta(hours=1),
    recipient="447700900142",
    scopes=frozenset({"messages:send"}),
)


def facts(**changes: Any) -> Facts:
    """Return the good facts with `changes`."""
    return replace(GOOD, **changes)
