"""Fetches the file of an inbound message; intake puts one in for each.

The file goes to S3 before the row says so, under a key of its own: a run that was killed comes
again and writes the same object. The row changes only while it is pending, in the
transaction that completes the job.
"""

from __future__ import annotations

from uuid import UUID

from switchboard import media
from switchboard.jobs._kind import Args, Context, Effects, JobKind
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import Snooze
from switchboard.kernel.log import log
from switchboard.media import Later, Lost, Stored
from switchboard.store import media as store

#: Only a run that was killed or broke spends an attempt; waiting for Meta does not.
_MAX_ATTEMPTS = 8
#: From this attempt on without a thumbnail: unpacking a picture is what may have killed the others.
_PLAIN_FROM = 3


class FetchMedia(Args):
    """The message whose file is to be fetched."""

    message_id: UUID


def run(context: Context, args: FetchMedia) -> Effects:
    """Bring the file, or snooze with the reason noted, or settle why it will never come."""
    tools, tenant_id = context.tools, context.tenant_id
    with tools.db.transaction(tenant_id) as connection:
        wanted = store.find_wanted(connection, tenant_id, args.message_id, now=tools.clock.now)
    if wanted is None:
        return Effects(result={"status": "not_wanted"})
    ended: Stored | Lost | Later
    if context.attempt >= _MAX_ATTEMPTS:
        ended = Lost("given_up", f"{context.attempt - 1} runs did not come to an end")
    else:
        ended = media.fetch(
            tools,
            tenant_id,
            wanted,
            time_left=context.time_left,
            thumbnails=context.attempt < _PLAIN_FROM,
        )
    if isinstance(ended, Later):
        with tools.db.transaction(tenant_id) as connection:
            store.note_trouble(connection, tenant_id, wanted.id, ended.code, ended.message)
        log.info("media.later", media_id=wanted.id, reason=ended.code)
        raise Snooze(ended.until, ended.code)
    if isinstance(ended, Lost):
        log.warning("media.lost", media_id=wanted.id, reason=ended.code)

    def settle(connection: Connection) -> None:
        if isinstance(ended, Stored):
            store.settle_stored(connection, tenant_id, wanted.id, ended.kept)
        else:
            store.settle_failed(connection, tenant_id, wanted.id, ended.code, ended.message)

    result = {"status": "stored" if isinstance(ended, Stored) else ended.code}
    return Effects(writes=(settle,), result=result)


KIND = JobKind(
    name="fetch_media", args=FetchMedia, run=run, max_attempts=_MAX_ATTEMPTS, needs_s=30.0
)
