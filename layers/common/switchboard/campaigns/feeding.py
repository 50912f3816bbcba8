"""A campaign's run: freezes its audience, feeds the road slice by slice, ends it when all is done.

Every step is a transaction that holds the campaign's row and looks at its state: whoever pauses or
cancels it waits for the slice that is being stored, and the next one finds it so. A recipient stops
being pending in the transaction that stores their message, so that a run may be killed anywhere and
any number of runs may work at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import psycopg

from switchboard.campaigns.checks import trouble
from switchboard.campaigns.control import hold
from switchboard.campaigns.parameters import Parameters
from switchboard.campaigns.progress import OPEN, is_mark_due, mark, totals
from switchboard.campaigns.slices import store_slice
from switchboard.campaigns.starting import begin
from switchboard.campaigns.times import Ramp, SendWindow, allowance, closing, open_seconds, opening
from switchboard.campaigns.words import SPENDING_CAP
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import ProblemError, Unavailable
from switchboard.kernel.log import log
from switchboard.store import campaigns as store
from switchboard.store import contacts, recipients
from switchboard.store.campaigns import Running
from switchboard.tools import Tools
from switchboard.transact import transact

#: Recipients of one slice, and the milliseconds that its transaction may take.
SLICE, SLICE_MS = 500, 15_000
#: Seconds of the number's throughput that are kept waiting on the road, in messages at most.
AHEAD_S, LEAST_AHEAD, MOST_AHEAD = 10.0, 200, 5_000
#: Messages of one campaign that wait for quiet hours, limits and the like at most.
MOST_OPEN = 50_000
#: Seconds after which a run looks again: while the road is full; while nothing can be done.
SOON, LATER = timedelta(seconds=1), timedelta(seconds=15)
#: Seconds after which a run leaves the rest to its next turn: it keeps the worker from sending.
TURN_S = 4.0
#: Messages and recipients that one transaction cancels.
CANCEL = 2_000


@dataclass(frozen=True, slots=True)
class Step:
    """What a step has found: when to look again; None: at once. `over`: nothing is left to do."""

    again_at: datetime | None = None
    over: bool = False
    #: Until when what waits on the road is to be put off (the send window is closed).
    hold_until: datetime | None = None


def run_campaign(tools: Tools, tenant_id: UUID, campaign_id: UUID, deadline: float) -> Step:
    """Do what is due for a campaign until `deadline` (`tools.clock.monotonic` seconds) or its turn
    is over, and return when to come again."""
    began = tools.clock.monotonic()
    while True:
        left = deadline - tools.clock.monotonic()
        step = _step(tools, tenant_id, campaign_id, within_s=left)
        if step.hold_until is not None:
            hold(tools, tenant_id, campaign_id, ("sending",), until=step.hold_until)
        if step.over or step.again_at is not None:
            return step
        if tools.clock.monotonic() - began >= TURN_S:
            return Step(again_at=_now(tools, tenant_id, campaign_id))


def _step(tools: Tools, tenant_id: UUID, campaign_id: UUID, *, within_s: float) -> Step:
    status = transact(
        tools,
        tenant_id,
        lambda connection: _look(tools, connection, tenant_id, campaign_id),
    )
    if isinstance(status, Step):
        return status
    if status == "scheduled":
        return Step(over=not begin(tools, tenant_id, campaign_id, within_s=within_s))
    if status == "cancelled":
        return _wind_up(tools, tenant_id, campaign_id)
    return _feed(tools, tenant_id, campaign_id, SLICE)


def _look(tools: Tools, connection: Connection, tenant_id: UUID, campaign_id: UUID) -> Step | str:
    found = store.find(connection, tenant_id, campaign_id)
    if found is None or found.status in {"draft", "completed"}:
        return Step(over=True)
    if found.status == "paused":
        return "paused"
    if found.status == "cancelled" and found.completed_at is not None:
        return Step(over=True)
    if found.status == "scheduled":
        _, now = store.pace(connection, tenant_id, campaign_id, now=tools.clock.now)
        if found.scheduled_at is not None and found.scheduled_at > now:
            return Step(again_at=found.scheduled_at)
    return found.status


def _feed(tools: Tools, tenant_id: UUID, campaign_id: UUID, size: int) -> Step:
    """Store one slice's messages; where one of them cannot be, the others all the same."""

    def slice_(connection: Connection) -> Step:
        return _slice(tools, connection, tenant_id, campaign_id, size)

    try:
        step = transact(tools, tenant_id, slice_, statement_timeout_ms=SLICE_MS)
    except (Unavailable, ProblemError, psycopg.OperationalError):
        raise
    except Exception as error:  # noqa: BLE001 - one recipient's fault is that recipient's only
        if size > 1:
            log.warning("campaign.slice_failed", campaign_id=campaign_id, error=error)
            return _feed(tools, tenant_id, campaign_id, max(1, size // 8))
        log.error("campaign.recipient_failed", campaign_id=campaign_id, error=error)
        transact(tools, tenant_id, _skip_one(tools, tenant_id, campaign_id, type(error).__name__))
        return Step()
    if step.over:
        # Paused, by whomever: what waits on the road must not go out.
        hold(tools, tenant_id, campaign_id, ("paused",))
    return step


def _skip_one(
    tools: Tools, tenant_id: UUID, campaign_id: UUID, reason: str
) -> Callable[[Connection], None]:
    def skip(connection: Connection) -> None:
        contacts.hold(connection, tenant_id)
        locked = store.lock(connection, tenant_id, campaign_id, now=tools.clock.now)
        if locked is None or locked.status != "sending":
            return
        for one in recipients.take(connection, tenant_id, campaign_id, limit=1):
            skipped = recipients.Marked(one.contact_id, "skipped", f"error: {reason}")
            recipients.mark(connection, tenant_id, campaign_id, [skipped], now=locked.now)

    return skip


def _slice(
    tools: Tools, connection: Connection, tenant_id: UUID, campaign_id: UUID, size: int
) -> Step:
    contacts.hold(connection, tenant_id)  # first of all locks
    campaign = store.lock(connection, tenant_id, campaign_id, now=tools.clock.now)
    if campaign is None or campaign.status != "sending":
        return Step(over=campaign is None or campaign.status in {"paused", "completed"})
    now = campaign.now
    pace = None
    counts = None
    if is_mark_due(campaign.pace, now):
        counts = recipients.count(connection, tenant_id, campaign_id)
        pace = mark(campaign.pace, counts, now)
        store.note_slice(connection, tenant_id, campaign_id, pace=pace)
    reason = trouble(campaign, counts)
    if reason is not None:
        return _pause(tools, connection, tenant_id, campaign_id, reason)
    wait = _wait(campaign)
    _note_hours(connection, tenant_id, campaign, None if wait is None else wait.hold_until)
    if wait is not None:
        return _rest(tools, connection, tenant_id, campaign, wait)
    room, paid = _room(connection, tenant_id, campaign, size)
    if room < 1:
        return Step(again_at=now + SOON)
    done = store_slice(
        tools,
        connection,
        tenant_id,
        campaign,
        Parameters.model_validate(campaign.template_params),
        limit=room,
    )
    if done.taken:
        paid_until = None if paid is None else paid[0] + timedelta(seconds=done.taken / paid[1])
        store.note_slice(connection, tenant_id, campaign_id, paid_until=paid_until, cost=done.cost)
    if done.is_spent and not done.taken:
        # What is within the cap goes out first.
        if recipients.is_open(connection, tenant_id, campaign_id, ("queued",)):
            return Step(again_at=_later(campaign))
        spent, cap = _written(campaign.spent), _written(campaign.spending_cap or Decimal(0))
        detail = f"{spent} of {cap} {campaign.currency}"
        return _pause(tools, connection, tenant_id, campaign_id, (SPENDING_CAP, detail))
    if not done.taken:
        return _rest(tools, connection, tenant_id, campaign, Step(again_at=_later(campaign)))
    return Step()


def _written(amount: Decimal) -> str:
    """Return an amount exactly, in two decimals where that is exact."""
    whole, _, decimals = f"{amount.normalize():f}".partition(".")
    return f"{whole}.{decimals:0<2}"


def _pause(
    tools: Tools,
    connection: Connection,
    tenant_id: UUID,
    campaign_id: UUID,
    why: tuple[str, str],
) -> Step:
    """Pause it by itself; what waits on the road is held after the commit."""
    reason, detail = why
    store.pause(
        connection, tenant_id, campaign_id, reason=reason, detail=detail, now=tools.clock.now
    )
    log.warning("campaign.paused", campaign_id=campaign_id, reason=reason)
    return Step(over=True)


def _note_hours(
    connection: Connection, tenant_id: UUID, campaign: Running, opens_at: datetime | None
) -> None:
    """Note when the window is closed: now until `opens_at`, or next."""
    closes_at = None if opens_at is None else campaign.started_at  # long since
    if campaign.send_window is not None and opens_at is None:
        window = SendWindow.model_validate(campaign.send_window)
        closes_at = closing(window, campaign.timezone, campaign.now)
        opens_at = opening(window, campaign.timezone, closes_at)
    store.close(connection, tenant_id, campaign.id, closes_at=closes_at, opens_at=opens_at)


def _later(campaign: Running) -> datetime:
    """Return when to look again: when its window closes, what waits is put off."""
    later = campaign.now + LATER
    if campaign.send_window is None:
        return later
    window = SendWindow.model_validate(campaign.send_window)
    return min(later, closing(window, campaign.timezone, campaign.now))


def _wait(campaign: Running) -> Step | None:
    """Return until when nothing may be fed; None: now it may."""
    now = campaign.now
    if campaign.send_window is not None:
        window = SendWindow.model_validate(campaign.send_window)
        opens = opening(window, campaign.timezone, now)
        if opens is not None:
            return Step(again_at=opens, hold_until=opens)
    if campaign.is_stopped:
        # By people, for the number or the tenant: nothing goes out, and nothing is the matter.
        return Step(again_at=now + LATER)
    if campaign.paused_until is not None:
        return Step(again_at=min(campaign.paused_until, now + timedelta(minutes=1)))
    portfolio = campaign.portfolio
    if portfolio is not None and portfolio["room"] is not None and portfolio["room"] <= 0:
        again = portfolio["again_at"]
        soonest = now + timedelta(minutes=1)
        until = soonest if again is None else max(datetime.fromisoformat(again), soonest)
        # A limit may rise, and some people cost nothing.
        return Step(again_at=min(until, now + timedelta(hours=1)))
    return None


def _room(
    connection: Connection, tenant_id: UUID, campaign: Running, size: int
) -> tuple[int, tuple[datetime, float] | None]:
    """Return how many may be fed now, and what the ramp is paid by: its base and its rate."""
    ahead = min(max(int(campaign.rate * AHEAD_S), LEAST_AHEAD), MOST_AHEAD)
    due, waiting = recipients.waiting(
        connection,
        tenant_id,
        campaign.id,
        campaign.account_id,
        due=ahead,
        open_=MOST_OPEN,
        now=campaign.now,
    )
    room = min(size, ahead - due, MOST_OPEN - waiting)
    if campaign.send_window is not None:
        # What cannot leave before the window closes is not put on the road any more.
        window = SendWindow.model_validate(campaign.send_window)
        left = closing(window, campaign.timezone, campaign.now) - campaign.now
        room = min(room, int(left.total_seconds() * campaign.rate) - due)
    if campaign.portfolio is not None and campaign.portfolio["room"] is not None:
        room = min(room, int(campaign.portfolio["room"]))
    if campaign.ramp is None or campaign.started_at is None:
        return room, None
    open_s = None
    if campaign.send_window is not None:
        window = SendWindow.model_validate(campaign.send_window)
        open_s = open_seconds(window, campaign.timezone, campaign.started_at, campaign.now)
    allowed, base, rate = allowance(
        Ramp.model_validate(campaign.ramp),
        started_at=campaign.started_at,
        paid_until=campaign.ramp_paid_until,
        now=campaign.now,
        open_s=open_s,
    )
    return min(room, allowed), (base, rate)


def _rest(
    tools: Tools, connection: Connection, tenant_id: UUID, campaign: Running, step: Step
) -> Step:
    """Nothing can be fed: end the campaign where nobody waits any more."""
    if recipients.is_open(connection, tenant_id, campaign.id, OPEN):
        return step
    counts = recipients.count(connection, tenant_id, campaign.id)
    gone = 0
    if campaign.started_at is not None:
        gone = recipients.opt_outs(connection, tenant_id, campaign.id, since=campaign.started_at)
    store.finish(connection, tenant_id, campaign.id, totals(counts, gone), now=tools.clock.now)
    log.info("campaign.ended", campaign_id=campaign.id, by_status=counts)
    return Step(over=True)


def _wind_up(tools: Tools, tenant_id: UUID, campaign_id: UUID) -> Step:
    """End what waits of a cancelled campaign; what is on its way comes to its own end."""
    hold(tools, tenant_id, campaign_id, ("cancelled",))

    def end(connection: Connection) -> Step:
        messages = recipients.cancel_messages(
            connection, tenant_id, campaign_id, limit=CANCEL, now=tools.clock.now
        )
        people = recipients.cancel_pending(
            connection, tenant_id, campaign_id, limit=10 * CANCEL, now=tools.clock.now
        )
        return Step() if messages or people else Step(over=True)

    step = transact(tools, tenant_id, end, statement_timeout_ms=SLICE_MS)
    if not step.over:
        return step

    def finish(connection: Connection) -> Step:
        campaign = store.lock(connection, tenant_id, campaign_id, now=tools.clock.now)
        assert campaign is not None
        return _rest(tools, connection, tenant_id, campaign, Step(again_at=campaign.now + LATER))

    return transact(tools, tenant_id, finish)


def _now(tools: Tools, tenant_id: UUID, campaign_id: UUID) -> datetime:
    def ask(connection: Connection) -> datetime:
        return store.pace(connection, tenant_id, campaign_id, now=tools.clock.now)[1]

    return transact(tools, tenant_id, ask)
