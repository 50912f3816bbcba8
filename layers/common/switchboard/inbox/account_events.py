"""What Meta told about business accounts, numbers, templates, Flows and groups.

The order is that of receipt, which every event has, whether Meta told a time or not. What comes
late stands in front like any news, and not behind the back of who has read as far.
"""

from __future__ import annotations

from uuid import UUID

from pydantic import AwareDatetime, Field

from switchboard.kernel.db import Connection
from switchboard.kernel.page import (
    WALK,
    Page,
    Paged,
    as_id,
    as_time,
    read_cursor,
    write_cursor,
)
from switchboard.store import account_events as store
from switchboard.store.account_events import AccountEvent
from switchboard.tools import Tools
from switchboard.transact import transact


class AccountEventFilter(Paged):
    """Which events: those that fit everything given."""

    waba_id: str | None = Field(None, max_length=50, description="of this business account")
    number: str | None = Field(
        None, max_length=50, description="of this number: its phone number id, or its id here"
    )
    field: str | None = Field(
        None, max_length=100, description="of this webhook field, such as security"
    )
    event: str | None = Field(
        None, max_length=100, description="with this word of Meta's, such as PIN_CHANGED"
    )
    since: AwareDatetime | None = Field(None, description="received then or later")
    until: AwareDatetime | None = Field(None, description="received before")


def list_account_events(
    tools: Tools, tenant_id: UUID, wanted: AccountEventFilter
) -> Page[AccountEvent]:
    """Return events, the newest received first."""

    def read(connection: Connection) -> Page[AccountEvent]:
        position = read_cursor("account_events", wanted, 2)
        steps = store.walk(
            connection,
            tenant_id,
            after=(as_time(position[0]), as_id(position[1])) if position else None,
            # Only what stands above the walk makes it longer than a page.
            walk=WALK if _filters(wanted) else wanted.limit + 1,
            limit=wanted.limit,
            waba_id=wanted.waba_id,
            number=wanted.number,
            field=wanted.field,
            event=wanted.event,
            since=wanted.since,
            until=wanted.until,
        )
        fitting = [step.event for step in steps if step.matches]
        shown = fitting[: wanted.limit]
        if len(fitting) > len(shown):
            last = shown[-1]
        elif steps and steps[-1].place == WALK:
            last = steps[-1].event
        else:
            return Page(shown, None)
        return Page(shown, write_cursor("account_events", wanted, last.created_at, last.id))

    return transact(tools, tenant_id, read)


def _filters(wanted: AccountEventFilter) -> bool:
    return any((wanted.waba_id, wanted.number, wanted.field, wanted.event))
