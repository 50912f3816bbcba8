"""Forgets mails of which nothing was heard for EMAIL_DAYS, but for those that may still go out.

They hold people's addresses and what was written to them. Whom nothing more is sent to stays known:
suppressions and consents have rows of their own.
"""

from __future__ import annotations

from datetime import timedelta

from switchboard.jobs._kind import Context, Effects, JobKind, NoArgs
from switchboard.jobs._retire import retire_along
from switchboard.kernel.db import Connection
from switchboard.store import emails as store


def run(context: Context, _args: NoArgs) -> Effects:
    """Delete them, tenant after tenant."""
    tools = context.tools

    def delete(connection: Connection, limit: int, place: store.Retired) -> store.Retired:
        return store.retire(
            connection,
            keep=timedelta(days=tools.settings.email_days),
            limit=limit,
            after=place,
            now=tools.clock.now,
        )

    return Effects(result={"retired": retire_along(context, delete, store.BEGINNING)})


KIND = JobKind(name="retire_emails", args=NoArgs, run=run, needs_s=25.0, every_s=3600)
