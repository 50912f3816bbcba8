"""Takes dead letters through intake again, after a fix: by reason, by time range, or by their ids.

In slices: what is left becomes another job of the same lane, behind everything else that is due,
with the counts so far. Each letter is settled on its own, so that a run that is killed and begun
anew goes on with those that are still open. One that stays keeps its time, so is not met twice.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from switchboard.intake import letters
from switchboard.intake.letters import Reason, Selection
from switchboard.jobs._kind import Args, Context, Effects, JobKind, NewJob
from switchboard.store.jobs import BULK
from switchboard.store.letters import Place

#: Seconds of one slice.
SLICE_S = 5.0
_NAME = "replay_dead_letters"


class ReplayDeadLetters(Args):
    """Which letters, where to go on behind, and what the slices before this one did."""

    reason: Reason | None = None
    since: datetime | None = None
    until: datetime | None = None
    ids: tuple[UUID, ...] | None = None
    after: datetime | None = None
    after_id: UUID | None = None
    stored: int = 0
    kept: int = 0


def run(context: Context, args: ReplayDeadLetters) -> Effects:
    """Replay until the slice is over; the result tells the counts of all slices so far."""
    clock = context.tools.clock
    end = min(context.deadline, clock.monotonic() + SLICE_S)
    replayed, place = letters.replay_some(
        context.tools,
        context.tenant_id,
        Selection(args.reason, args.since, args.until, args.ids),
        Place(args.after, args.after_id) if args.after and args.after_id else None,
        lambda: clock.monotonic() < end,
    )
    counts = {"stored": args.stored + replayed.stored, "kept": args.kept + replayed.kept}
    if place is None:
        return Effects(result={**counts, "more": False})
    rest = {
        **args.model_dump(mode="json"),
        **counts,
        "after": place.received_at.isoformat(),
        "after_id": str(place.id),
    }
    return Effects(
        jobs=(NewJob(_NAME, rest, lane=_NAME, priority=BULK),), result={**counts, "more": True}
    )


KIND = JobKind(name=_NAME, args=ReplayDeadLetters, run=run, needs_s=20.0)
