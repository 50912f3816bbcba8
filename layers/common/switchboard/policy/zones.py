"""The clock that a person goes by: their own, else that of their number, else UTC."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from switchboard.kernel.phones import zone_of


def zone_for(name: str | None, recipient: str) -> ZoneInfo:
    """Return the zone `name`, else that of `recipient` (digits or a business-scoped user id)."""
    return _zone(name) or _zone(zone_of(recipient)) or ZoneInfo("UTC")


def _zone(name: str | None) -> ZoneInfo | None:
    """Return the zone; None for a name that no database of zones has, however it got here."""
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
