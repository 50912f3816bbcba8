"""account-events: what Meta told about business accounts, numbers, templates and Flows."""

from __future__ import annotations

from uuid import UUID

from switchboard.commands._resource import Command, Resource
from switchboard.inbox import account_events
from switchboard.inbox.account_events import AccountEventFilter
from switchboard.kernel.page import Page
from switchboard.store.account_events import AccountEvent
from switchboard.tools import Tools


def list_account_events(
    tools: Tools, tenant_id: UUID, wanted: AccountEventFilter
) -> Page[AccountEvent]:
    """List what Meta told about accounts, the newest received first."""
    return account_events.list_account_events(tools, tenant_id, wanted)


KIND = Resource(
    "account_events",
    "what Meta told about business accounts, numbers, templates and Flows",
    (
        Command(
            "list",
            AccountEventFilter,
            list_account_events,
            "--field account_update --since 2027-01-31T00:00:00Z",
            ("created_at", "occurred_at", "waba_id", "phone_number_id", "field", "event"),
        ),
    ),
)
