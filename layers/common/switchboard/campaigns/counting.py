"""What Meta takes for a campaign's messages: counted along the places of its recipients.

A few are counted while somebody waits. Many are counted by a job, slice by slice, each committed
with the place that it came to: whoever asks meanwhile gets the last count. Amounts are not kept;
whoever shows a count prices it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from switchboard import prices
from switchboard.kernel.db import Connection
from switchboard.prices import Counted
from switchboard.store import campaign_costs as kept
from switchboard.store import campaigns as store
from switchboard.store import jobs, recipients
from switchboard.store.campaign_costs import Kept
from switchboard.store.prices import read_now
from switchboard.tools import Tools
from switchboard.transact import transact

#: Recipients whose messages one transaction counts, and milliseconds of its statements.
SLICE, SLICE_MS = 5_000, 15_000
#: Recipients of a campaign that are counted while somebody waits.
AT_ONCE = 20_000
#: What is older is counted anew when somebody asks.
FRESH = timedelta(minutes=15)
#: Seconds after which a job leaves the rest to its next turn, and what a slice may need.
TURN_S, NEEDS_S = 4.0, 20.0


def count_now(tools: Tools, tenant_id: UUID, campaign_id: UUID, total: int) -> Counted:
    """Count all messages of a campaign that has few recipients."""
    counted, after = Counted(), 0
    while after < total:

        def some(connection: Connection, after: int = after) -> Counted:
            return _slice(connection, tenant_id, campaign_id, after)

        counted += transact(tools, tenant_id, some, statement_timeout_ms=SLICE_MS)
        after += SLICE
    return counted


def last_count(tools: Tools, tenant_id: UUID, campaign_id: UUID) -> tuple[Counted, datetime | None]:
    """Return the last count of a campaign and when it had begun; see that there will be a new one.

    Where none has ended, what is counted so far, and None.
    """

    asked = list[bool]()

    def ask(connection: Connection) -> Kept | None:
        found = kept.find(connection, tenant_id, campaign_id)
        if not _is_fresh(found, read_now(connection, now=tools.clock.now)):
            put = jobs.enqueue(
                connection,
                tenant_id=tenant_id,
                job_type="count_campaign_cost",
                args={"campaign_id": str(campaign_id)},
                lane=f"campaign_cost:{campaign_id}",
                unique_key=str(campaign_id),
                priority=jobs.BULK,
                now=tools.clock.now,
            )
            if put is not None:
                asked.append(True)
        return found

    found = transact(tools, tenant_id, ask)
    if asked:
        tools.nudge()
    if found is None:
        return Counted(), None
    return _read(found.counts if found.counted is None else found.counted), found.counted_at


def go_on(tools: Tools, tenant_id: UUID, campaign_id: UUID, deadline: float) -> datetime | None:
    """Count until all is counted, the turn is over or `deadline` (`tools.clock.monotonic`) is near.

    Returns when to come again; None: it is counted, or lately was.
    """
    end = min(deadline - NEEDS_S, tools.clock.monotonic() + TURN_S)

    def step(connection: Connection) -> datetime | None:
        now = read_now(connection, now=tools.clock.now)
        campaign = store.find(connection, tenant_id, campaign_id)
        found = kept.find(connection, tenant_id, campaign_id)
        if campaign is None or (_is_fresh(found, now) and not _is_going_on(found)):
            return None
        held = kept.hold(connection, tenant_id, campaign_id, now=now)
        counted = _read(held.counts) + _slice(connection, tenant_id, campaign_id, held.place)
        place = held.place + SLICE
        left = place < campaign.total_recipients
        kept.note(
            connection, tenant_id, campaign_id, counted.as_json(), place=place if left else None
        )
        return now if left else None

    while True:
        again_at = transact(tools, tenant_id, step, statement_timeout_ms=SLICE_MS)
        if again_at is None or tools.clock.monotonic() >= end:
            return again_at


def _is_fresh(found: Kept | None, now: datetime) -> bool:
    return found is not None and found.counted_at is not None and found.counted_at > now - FRESH


def _is_going_on(found: Kept | None) -> bool:
    return found is not None and found.counting_since is not None


def _read(counts: Mapping[str, Any]) -> Counted:
    return Counted.from_json(counts) if counts else Counted()


def _slice(connection: Connection, tenant_id: UUID, campaign_id: UUID, after: int) -> Counted:
    ids = recipients.messages(connection, tenant_id, campaign_id, after=after, until=after + SLICE)
    return prices.count(connection, tenant_id, ids)
