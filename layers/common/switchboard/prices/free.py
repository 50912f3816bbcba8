"""What Meta takes nothing for, by its own rules: the one place that knows.

Since 2025-07-01 Meta charges for each template message that arrives (Cloud API, Pricing). Free were
free-form messages and utility templates while the person's 24-hour window is open, and everything
in the 72 hours of a free entry point (a tapped ad that was answered within a day). From 2026-10-01
Meta charges for free-form messages and utility templates inside the window as well; what its
webhooks say of them then no source has seen, so a rate decides, and without one nobody knows.
"""

from __future__ import annotations

from datetime import UTC, datetime

#: Words of `pricing.type` under which nothing is charged (Webhooks, statuses).
FREE_TYPES = frozenset({"free_customer_service", "free_entry_point", "free_group_customer_service"})
#: The category of what is no template.
SERVICE = "service"
#: From here on the open window makes nothing free.
WINDOW_CHARGED_FROM = datetime(2026, 10, 1, tzinfo=UTC)


def free_type(
    category: str, at: datetime, *, inside_window: bool = False, inside_entry_point: bool = False
) -> str | None:
    """Return the `pricing.type` under which a message of `category` is free; None: it is not."""
    if inside_entry_point:
        return "free_entry_point"
    if category == SERVICE:
        inside_window = True  # outside it there is no such message
    if inside_window and category in {SERVICE, "utility"} and at < WINDOW_CHARGED_FROM:
        return "free_customer_service"
    return None


def category_of(word: str) -> str:
    """Return a category as rates have it: of Meta's spellings and of our kind `reply`."""
    lowered = word.lower().replace("-", "_")
    return SERVICE if lowered == "reply" else lowered
