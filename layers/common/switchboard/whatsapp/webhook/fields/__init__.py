"""The webhook fields other than `messages`: one file each, found by folder, imported when needed.

To add a field:
1. add `<field>.py` with `KIND = Field(name=<Meta's field>, read=…)`,
2. where it brings events of a new kind: `event_<kind>` in a migration,
3. add `tests/payloads/inbound/<field>.json` and its test.
A field without a file is kept whole as a dead letter, and counted.
"""

from __future__ import annotations

from typing import Any

from switchboard.kernel.registry import Registry
from switchboard.whatsapp.webhook.fields._field import (
    Change,
    Field,
    Odd,
    change_with,
    event,
    odd,
)

__all__ = ["FIELDS", "Change", "Field", "Odd", "change_with", "event", "odd"]


class Fields(Registry[Field]):
    """The fields this release reads."""

    def of(self, name: str, value: dict[str, Any]) -> Field | None:
        """Return what reads `value`, by its keys where Meta's name is wrong; None: nothing does."""
        found = None
        for field in self:
            if field.is_mine(value):
                return field
            if field.name == name:
                found = field
        return found


FIELDS = Fields("switchboard.whatsapp.webhook.fields", Field)
