"""Brings the templates of one business account from Meta.

Put in once a day (jobs/put_template_syncs.py), by webhooks of templates whose components are
unknown or changed, and where a sync that somebody asked for takes long. In slices: what is left
becomes another job with the place where it goes on.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from switchboard.accounts.template_sync import Place, Synced, rest_key, sync_some
from switchboard.jobs._kind import Args, Context, Effects, JobKind, NewJob
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import (
    GiveUp,
    NotFound,
    Snooze,
    SwitchboardError,
    Unprocessable,
)
from switchboard.store import templates as store
from switchboard.store.jobs import BULK
from switchboard.whatsapp.client import NotSent, Rejected, Throttled, Unconfirmed

#: Seconds of one slice: replies wait behind it.
SLICE_S = 10.0
#: Seconds that the page which is asked for last may take.
_PAGE_S = 32.0
#: Seconds to wait at least where Meta is busy: its limits of these calls are by the hour.
_BUSY_S = 60.0
_NAME = "sync_templates"


class NoPage(SwitchboardError):
    """Meta gave no page this time; to ask again is harmless."""


class SyncTemplates(Args):
    """Whose templates; where to go on, and what the slices before this one found."""

    waba_id: int  # Meta's ids are digits
    began_at: datetime | None = None
    listed: int = 0
    unread: int = 0


def run(context: Context, args: SyncTemplates) -> Effects:
    """Sync until the slice is over; what Meta refuses for good is kept with the account.

    Raises Snooze while Meta is busy, NoPage where it did not answer, GiveUp where it never will.
    """
    tools, tenant_id, waba_id = context.tools, context.tenant_id, str(args.waba_id)
    monotonic = tools.clock.monotonic
    until = min(context.deadline - _PAGE_S, monotonic() + SLICE_S)
    place = None
    if args.began_at is not None:
        with tools.db.transaction(tenant_id) as connection:
            after = store.find_left_sync(connection, tenant_id, waba_id, began_at=args.began_at)
        if after is None:
            return Effects(result={"listed": args.listed, "superseded": True})
        place = Place(args.began_at, after, args.listed, args.unread)
    try:
        ended = sync_some(tools, tenant_id, waba_id, place, lambda: monotonic() < until)
    except (NotFound, Unprocessable) as error:
        raise _give_up(context, waba_id, error.detail) from None
    match ended:
        case Synced():
            result = {"listed": ended.listed, "deleted": ended.deleted, "more": False}
            return Effects(result=result)
        case Place():
            left = ended

            def leave(connection: Connection) -> None:
                left.leave(connection, tenant_id, waba_id)

            rest = NewJob(
                _NAME,
                ended.arguments(waba_id),
                unique_key=rest_key(waba_id, ended),
                priority=BULK,
            )
            return Effects(
                writes=(leave,), jobs=(rest,), result={"listed": ended.listed, "more": True}
            )
        case Throttled():
            wait = timedelta(seconds=max(_BUSY_S, ended.retry_after_s or 0))
            raise Snooze((tools.clock.now or tools.clock.wall()) + wait, ended.title)
        case Rejected():
            raise _give_up(context, waba_id, f"{ended.code}: {ended.details or ended.title}")
        case NotSent() | Unconfirmed():
            raise NoPage(ended.reason)


def _give_up(context: Context, waba_id: str, reason: str) -> GiveUp:
    """Keep the reason with the account, for people to see, and return the error."""
    with context.tools.db.transaction(context.tenant_id) as connection:
        store.note_sync_error(connection, context.tenant_id, waba_id, reason)
    return GiveUp(reason)


KIND = JobKind(name=_NAME, args=SyncTemplates, run=run, needs_s=_PAGE_S + SLICE_S)
