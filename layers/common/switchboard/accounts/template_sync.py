"""Brings what Meta lists of a business account's templates into our rows, page by page.

Every page is kept on its own, so that a sync that ends early has done no harm and one that goes on
elsewhere needs only its beginning and the cursor, which stands in the account's row. Only one that
has seen the whole list may say that something is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from switchboard.accounts._meta import account_of
from switchboard.accounts.templates import done
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.db import Connection
from switchboard.kernel.log import log
from switchboard.store import jobs
from switchboard.store import templates as store
from switchboard.tools import Tools
from switchboard.transact import transact
from switchboard.whatsapp import templates_api as meta
from switchboard.whatsapp.templates_api import NoAnswer

#: Seconds that a caller waits before the rest becomes a job.
AT_ONCE_S = 6.0
JOB = "sync_templates"


class SyncWanted(Arguments):
    """Which templates to bring from Meta."""

    waba_id: str = Field(max_length=50, description="all of this business account")


@dataclass(frozen=True, slots=True)
class Place:
    """How far a sync is: when it began, where it goes on (None: at the start), what it has done.

    `unread`: templates that could not be read; then none may be called deleted.
    """

    began_at: datetime
    after: str | None = None
    listed: int = 0
    unread: int = 0

    def arguments(self, waba_id: str) -> dict[str, Any]:
        """Return the arguments of the job that goes on from here."""
        return {
            "waba_id": waba_id,
            "began_at": self.began_at.isoformat(),
            "listed": self.listed,
            "unread": self.unread,
        }

    def leave(self, connection: Connection, tenant_id: UUID, waba_id: str) -> None:
        """Keep where that job goes on."""
        store.leave_sync(
            connection, tenant_id, waba_id, began_at=self.began_at, after=self.after or ""
        )


@dataclass(frozen=True, slots=True)
class Synced:
    """What a sync has done so far; one that `continues` goes on in the job `job_id`."""

    waba_id: str
    state: Literal["done", "continues"]
    listed: int
    deleted: int
    job_id: int | None = None


def sync_now(tools: Tools, tenant_id: UUID, wanted: SyncWanted) -> Synced:
    """Bring an account's templates from Meta; what takes long goes on in a job.

    Raises NotFound for an unknown account, RefusedByMeta, Unavailable, NotAnswered for what Meta
    answers; pages that came before are kept.
    """
    monotonic = tools.clock.monotonic
    until = monotonic() + AT_ONCE_S
    ended = sync_some(tools, tenant_id, wanted.waba_id, None, lambda: monotonic() < until)
    if isinstance(ended, Synced):
        return ended
    place = ended if isinstance(ended, Place) else done(ended)

    def put(connection: Connection) -> int | None:
        place.leave(connection, tenant_id, wanted.waba_id)
        return jobs.enqueue(
            connection,
            tenant_id=tenant_id,
            job_type=JOB,
            args=place.arguments(wanted.waba_id),
            unique_key=rest_key(wanted.waba_id, place),
            now=tools.clock.now,
        )

    job_id = transact(tools, tenant_id, put)
    tools.nudge()
    return Synced(wanted.waba_id, "continues", place.listed, 0, job_id)


def sync_some(
    tools: Tools,
    tenant_id: UUID,
    waba_id: str,
    place: Place | None,
    time_left: Callable[[], bool],
) -> Synced | Place | NoAnswer:
    """Go on from `place` (None: begin) while `time_left`; return where to go on, or the end.

    Keeps each page in a transaction of its own. At least one page is asked for; what Meta says
    instead of a page is returned. Raises NotFound, and Unprocessable without any token.
    """
    account = account_of(tools, tenant_id, waba_id)
    now = tools.clock.now
    if place is None:
        place = Place(transact(tools, tenant_id, lambda link: store.tell_time(link, now=now)))
    while True:
        page = meta.list_templates(tools.graph, waba_id, account.token, place.after)
        if not isinstance(page, meta.Listing):
            return page
        rows = [found.row() for found in page.templates]
        asked = place.began_at

        def keep(link: Connection, rows: Any = rows, asked: datetime = asked) -> None:
            store.keep(link, tenant_id, waba_id, rows, asked=asked, now=now)

        if rows:
            transact(tools, tenant_id, keep)
        place = Place(asked, page.after, place.listed + len(rows), place.unread + page.unreadable)
        if page.after is None:
            return _end(tools, tenant_id, waba_id, place)
        if not time_left():
            return place


def rest_key(waba_id: str, place: Place) -> str:
    """Return the key under which the rest of one sync waits, apart from syncs yet to begin."""
    return f"{waba_id} {place.began_at.isoformat()}"


def _end(tools: Tools, tenant_id: UUID, waba_id: str, place: Place) -> Synced:
    if place.unread:
        log.warning("templates.unread", waba_id=waba_id, count=place.unread)
        return Synced(waba_id, "done", place.listed, 0)
    deleted = transact(
        tools,
        tenant_id,
        lambda link: store.end_sync(link, tenant_id, waba_id, asked=place.began_at),
    )
    return Synced(waba_id, "done", place.listed, deleted)
