"""Time zones by their names in the IANA database."""

from __future__ import annotations


def known_zone(name: str) -> str:
    """Return `name`; raises ValueError where it is no zone's."""
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        # ZoneInfoNotFoundError is a KeyError where a package holds the zones.
        raise ValueError("is no time zone of the IANA database") from None
    return name
