"""How far a campaign has come: counted from its recipients, whenever somebody asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from switchboard.kernel.db import Connection
from switchboard.store import campaigns, recipients
from switchboard.store.campaigns import Campaign
from switchboard.tools import Tools

#: Recipients in these states wait for something.
OPEN = ("pending", "queued", "unconfirmed")
#: Their message has reached Meta, as far as is known.
GONE = ("sent", "delivered", "read")
#: Seconds between two marks of the pace, how far they reach back, and how many are kept.
MARK_S, BACK_S, MARKS = 10, 75, 10


@dataclass(frozen=True, slots=True)
class Reason:
    """Why recipients got nothing: a word of ours, or Meta's code."""

    status: str
    reason: str | None
    recipients: int


@dataclass(frozen=True, slots=True)
class Progress:
    """Recipients by state; they add up to `total`.

    `by_status` holds every state that somebody is in. `undetermined`: nobody knows whether these
    have arrived; nothing is sent to them again. `opted_out`: took their consent back after a
    message of this campaign. `rate_per_minute`: messages that left in the last minute or so, None
    where it is not sending. `seconds_left`: at that rate.
    """

    total: int
    by_status: dict[str, int]
    undetermined: int
    opted_out: int
    reasons: list[Reason]
    rate_per_minute: float | None
    seconds_left: int | None


def progress_of(
    tools: Tools, connection: Connection, tenant_id: UUID, campaign: Campaign
) -> Progress:
    """Count a campaign's recipients."""
    counts = recipients.count(connection, tenant_id, campaign.id)
    rate = None
    if campaign.status == "sending":
        pace, now = campaigns.pace(connection, tenant_id, campaign.id, now=tools.clock.now)
        rate = _rate(pace, done(counts), now)
    waiting = counts.get("pending", 0) + counts.get("queued", 0)
    return Progress(
        total=sum(counts.values()),
        by_status=counts,
        undetermined=counts.get("undetermined", 0),
        opted_out=0
        if campaign.started_at is None
        else recipients.opt_outs(connection, tenant_id, campaign.id, since=campaign.started_at),
        reasons=[Reason(*row) for row in recipients.reasons(connection, tenant_id, campaign.id)],
        rate_per_minute=None if rate is None else round(rate * 60, 1),
        seconds_left=None if not rate else round(waiting / rate),
    )


def done(counts: Mapping[str, int]) -> int:
    """Return how many have had their turn on the road."""
    waiting = ("pending", "queued", "skipped", "cancelled")
    return sum(number for status, number in counts.items() if status not in waiting)


def outcomes(counts: Mapping[str, int]) -> tuple[int, int]:
    """Return how many outcomes are known, and how many of them are failures."""
    failed = counts.get("failed", 0)
    return failed + sum(counts.get(status, 0) for status in GONE), failed


def totals(counts: Mapping[str, int], opt_outs: int) -> dict[str, int]:
    """Return the totals of one that has ended: who read it has received it, and so on."""
    read = counts.get("read", 0)
    delivered = read + counts.get("delivered", 0)
    return {
        "skipped": counts.get("skipped", 0),
        "sent": delivered + counts.get("sent", 0),
        "delivered": delivered,
        "read": read,
        "failed": counts.get("failed", 0),
        "opt_outs": opt_outs,
    }


def mark(
    pace: Sequence[Sequence[int]], counts: Mapping[str, int], now: datetime
) -> list[list[int]]:
    """Return the marks with one of now."""
    return [*(list(one) for one in pace[1 - MARKS :]), [int(now.timestamp()), done(counts)]]


def is_mark_due(pace: Sequence[Sequence[int]], now: datetime) -> bool:
    """Whether the newest mark is old enough for another one."""
    return not pace or now.timestamp() - pace[-1][0] >= MARK_S


def _rate(pace: Sequence[Sequence[int]], gone: int, now: datetime) -> float | None:
    """Return messages a second, since the oldest mark that is young enough."""
    at = now.timestamp()
    young = [one for one in pace if at - one[0] <= BACK_S] or list(pace[-1:])
    if not young or at - young[0][0] < 1:
        return None
    return max(0, gone - young[0][1]) / (at - young[0][0])
