"""Ends a code when its time is over, and takes it out of a message that still held it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from switchboard.jobs._kind import Args, Context, Effects, JobKind
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import Snooze
from switchboard.store import verifications as store

#: A message whose code is over goes out no more; what ends it comes by within moments.
_AGAIN = timedelta(seconds=30)


class EndVerification(Args):
    """Whose time is over."""

    verification_id: UUID


def run(context: Context, args: EndVerification) -> Effects:
    """Forget the code in both places; come again while its message is on its way."""
    tools = context.tools

    def end(connection: Connection) -> None:
        now = tools.clock.now
        waits = store.hide_code(connection, context.tenant_id, args.verification_id, now=now)
        if waits:
            raise Snooze((now or tools.clock.wall()) + _AGAIN, "its message still waits")
        store.forget_code(connection, context.tenant_id, args.verification_id, now=now)

    return Effects(writes=(end,))


KIND = JobKind(name="end_verification", args=EndVerification, run=run)
