"""Starts, pauses, resumes and cancels campaigns; sends again what has failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import Field

from switchboard.campaigns.costs import require_price
from switchboard.campaigns.drafts import Shown, lock, require_ahead, show
from switchboard.campaigns.progress import outcomes
from switchboard.campaigns.times import Moment, SendWindow, Zone, instant, opening
from switchboard.campaigns.words import BY_HAND, MENDABLE
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import Conflict, Unprocessable
from switchboard.store import campaigns as store
from switchboard.store import recipients
from switchboard.tools import Tools
from switchboard.transact import transact

#: What waits on the road of one campaign is held by one statement.
_HOLD_MS = 20_000
#: Messages that one transaction looks at to send them again; seconds in which they begin.
_RETRY, _RETRY_S = 2_000, 15.0


class CampaignSchedule(Arguments):
    """When a campaign begins; left out, as it is written down with it."""

    scheduled_at: Moment | None = Field(
        None, description="with an offset, or by the clock of the zone: 2027-03-14T09:00"
    )
    timezone: Zone | None = Field(None, description="zone of the schedule and the send window")


class CampaignPause(Arguments):
    """A note for those who find it paused."""

    note: str | None = Field(None, min_length=1, max_length=500, description="shown with it")


@dataclass(frozen=True, slots=True)
class Retried:
    """How many get their message once more. `more`: the time was over, ask again."""

    retried: int
    more: bool


def schedule_campaign(
    tools: Tools, tenant_id: UUID, campaign_id: UUID, wanted: CampaignSchedule
) -> Shown:
    """Let a draft begin at its time; one that is scheduled already at another one.

    Raises NotFound, Conflict for one that has begun, Unprocessable for a time that is over and for
    a spending cap in a currency without prices.
    """

    def write(connection: Connection) -> Shown:
        locked = lock(tools, connection, tenant_id, campaign_id)
        zone = wanted.timezone or locked.timezone
        at = locked.scheduled_at
        if wanted.scheduled_at is not None:
            try:
                at = instant(wanted.scheduled_at, zone)
            except OverflowError:
                raise Unprocessable("is outside the calendar", field="scheduled_at") from None
        begins = require_ahead(at, locked.now)
        return _schedule(tools, connection, tenant_id, campaign_id, (begins, zone))

    return transact(tools, tenant_id, write)


def start_campaign(tools: Tools, tenant_id: UUID, campaign_id: UUID) -> Shown:
    """Let a draft, or one that is scheduled, begin now.

    Raises NotFound, Conflict, Unprocessable for a spending cap in a currency without prices.
    """

    def write(connection: Connection) -> Shown:
        locked = lock(tools, connection, tenant_id, campaign_id)
        return _schedule(tools, connection, tenant_id, campaign_id, (locked.now, locked.timezone))

    shown = transact(tools, tenant_id, write)
    tools.nudge()
    return shown


def _schedule(
    tools: Tools,
    connection: Connection,
    tenant_id: UUID,
    campaign_id: UUID,
    begins: tuple[datetime, str],
) -> Shown:
    at, zone = begins
    campaign = store.find(connection, tenant_id, campaign_id)
    if campaign is not None:
        require_price(connection, tenant_id, campaign)
    if not store.schedule(connection, tenant_id, campaign_id, at=at, timezone=zone):
        raise _not_in(connection, tenant_id, campaign_id, "draft or scheduled")
    store.wake(connection, tenant_id, campaign_id, at=at, now=tools.clock.now)
    return show(tools, connection, tenant_id, campaign_id)


def pause_campaign(
    tools: Tools, tenant_id: UUID, campaign_id: UUID, wanted: CampaignPause
) -> Shown:
    """Pause one that sends; again is harmless.

    When it returns nothing goes out any more but what is under intent already: one slice of each
    worker at most. Raises NotFound, Conflict for one that does not send.
    """

    def write(connection: Connection) -> None:
        locked = lock(tools, connection, tenant_id, campaign_id)
        if locked.status == "paused":
            return
        if not store.pause(
            connection,
            tenant_id,
            campaign_id,
            reason=BY_HAND,
            detail=wanted.note or "",
            now=tools.clock.now,
        ):
            raise _not_in(connection, tenant_id, campaign_id, "sending")
        # Where this process dies before the next step, a run does it.
        store.wake(connection, tenant_id, campaign_id, at=None, now=tools.clock.now)

    transact(tools, tenant_id, write)
    hold(tools, tenant_id, campaign_id, ("paused",))
    return transact(
        tools, tenant_id, lambda connection: show(tools, connection, tenant_id, campaign_id)
    )


def hold(
    tools: Tools,
    tenant_id: UUID,
    campaign_id: UUID,
    states: Sequence[str],
    *,
    until: datetime | None = None,
) -> None:
    """Take what waits of a campaign in one of `states` off the road, until then or for good."""

    def put_off(connection: Connection) -> int | None:
        return store.hold(connection, tenant_id, campaign_id, states, until=until)

    held = transact(tools, tenant_id, put_off, statement_timeout_ms=_HOLD_MS)
    if held is not None and until is None:
        transact(
            tools,
            tenant_id,
            lambda connection: store.note_held(
                connection, tenant_id, campaign_id, now=tools.clock.now
            ),
        )


def resume_campaign(tools: Tools, tenant_id: UUID, campaign_id: UUID) -> Shown:
    """Let a paused one go on where it was; nobody gets a second message.

    What paused it is looked at again; failures until now count no more. Raises NotFound, Conflict.
    """

    def write(connection: Connection) -> Shown:
        locked = lock(tools, connection, tenant_id, campaign_id)
        known, failed = outcomes(recipients.count(connection, tenant_id, campaign_id))
        if not store.resume(
            connection,
            tenant_id,
            campaign_id,
            outcomes=known,
            failures=failed,
            due=_opening(locked),
            now=tools.clock.now,
        ):
            raise _not_in(connection, tenant_id, campaign_id, "paused")
        store.wake(connection, tenant_id, campaign_id, at=None, now=tools.clock.now)
        return show(tools, connection, tenant_id, campaign_id)

    shown = transact(tools, tenant_id, write, statement_timeout_ms=_HOLD_MS)
    tools.nudge()
    return shown


def _opening(campaign: store.Running) -> datetime:
    """Return from when on what was held may go out: outside its hours not before the next ones."""
    if campaign.send_window is None:
        return campaign.now
    window = SendWindow.model_validate(campaign.send_window)
    return opening(window, campaign.timezone, campaign.now) or campaign.now


def cancel_campaign(tools: Tools, tenant_id: UUID, campaign_id: UUID) -> Shown:
    """End one for good; again is harmless. What waits is cancelled, by a worker and in slices.

    Raises NotFound, Conflict for one that is completed.
    """

    def write(connection: Connection) -> None:
        locked = lock(tools, connection, tenant_id, campaign_id)
        if locked.status == "cancelled":
            return
        if not store.cancel(connection, tenant_id, campaign_id, now=tools.clock.now):
            raise _not_in(connection, tenant_id, campaign_id, "still going on")
        store.wake(connection, tenant_id, campaign_id, at=None, now=tools.clock.now)

    transact(tools, tenant_id, write)
    hold(tools, tenant_id, campaign_id, ("cancelled",))
    tools.nudge()
    return transact(
        tools, tenant_id, lambda connection: show(tools, connection, tenant_id, campaign_id)
    )


def retry_failed(tools: Tools, tenant_id: UUID, campaign_id: UUID) -> Retried:
    """Give everybody whose message failed another one, and who was denied for the number's or the
    template's sake; nobody whose outcome is unknown.

    Raises NotFound, Conflict for one that is not sending, paused or completed.
    """

    def open_(connection: Connection) -> datetime:
        locked = lock(tools, connection, tenant_id, campaign_id)
        if locked.status not in {"sending", "paused", "completed"}:
            raise _not_in(connection, tenant_id, campaign_id, "sending, paused or completed")
        store.reopen(connection, tenant_id, campaign_id, now=tools.clock.now)
        store.wake(connection, tenant_id, campaign_id, at=None, now=tools.clock.now)
        return locked.now

    before = transact(tools, tenant_id, open_)
    until = tools.clock.monotonic() + _RETRY_S
    retried = 0
    more = True
    while more and tools.clock.monotonic() < until:

        def again(connection: Connection) -> tuple[int, int]:
            # Anew with each: a run that saw nobody waiting may have completed it, somebody
            # cancelled it.
            open_(connection)
            return recipients.retry(
                connection,
                tenant_id,
                campaign_id,
                denied=MENDABLE,
                before=before,
                limit=_RETRY,
                now=tools.clock.now,
            )

        looked_at, pending = transact(tools, tenant_id, again)
        retried += pending
        more = looked_at >= _RETRY

    def rebase(connection: Connection) -> None:
        # What is known until now counts no more for the failure share.
        known, failed = outcomes(recipients.count(connection, tenant_id, campaign_id))
        store.rebase(connection, tenant_id, campaign_id, outcomes=known, failures=failed)

    transact(tools, tenant_id, rebase)
    tools.nudge()
    return Retried(retried, more)


def _not_in(connection: Connection, tenant_id: UUID, campaign_id: UUID, wanted: str) -> Conflict:
    found = store.find(connection, tenant_id, campaign_id)
    assert found is not None
    return Conflict(f"the campaign is {found.status}, not {wanted}")
