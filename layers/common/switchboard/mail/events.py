"""Takes what SES tells of mails: each event once, in any order, none lost without a trace."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import psycopg

from switchboard.kernel.db import Connection
from switchboard.kernel.log import log
from switchboard.ses.events import Odd, Told, read
from switchboard.store import emails as store
from switchboard.store import events
from switchboard.store.events import SYSTEM_TENANT, DeadLetter
from switchboard.tools import Tools
from switchboard.transact import transact

#: The field and the reason of the dead letters made here.
FIELD, REASON = "ses", "email_event"
Taken = Literal["taken", "again", "letter"]


def take(tools: Tools, event: Mapping[str, Any]) -> Taken:
    """Take one event as EventBridge delivers it; what cannot be taken becomes a dead letter.

    The mail is looked for among its own tenant's, which our tag names: row-level security shows no
    other. Raises Unavailable where the database is away: whoever delivers it must come again.
    """
    taken, why = _try(tools, event)
    if why is None:
        return taken
    _keep(tools, event, why)
    log.warning("email.event_kept", why=why)
    return "letter"


def take_again(tools: Tools, body: bytes) -> str | None:
    """Take the event of a dead letter; return why it stays one, None where it is taken."""
    return _try(tools, json.loads(body))[1]


def _try(tools: Tools, event: Mapping[str, Any]) -> tuple[Taken, str | None]:
    """Return what became of an event, or why it cannot be taken."""
    try:
        taken = _take(tools, read(event))
    except Odd as odd:
        return "letter", str(odd)
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        # What Postgres does not hold (a NUL in a text): the next attempt would not either.
        return "letter", type(error).__name__
    return ("letter", "there is no such mail") if taken is None else (taken, None)


def _take(tools: Tools, told: Told) -> Literal["taken", "again"] | None:
    log_id = tools.clock.new_id()  # named once: the work may run twice

    def write(connection: Connection) -> Literal["taken", "again"] | None:
        return store.take_event(
            connection,
            told.tenant_id,
            told.email_id,
            told.document,
            log_id=log_id,
            now=tools.clock.now,
        )

    return transact(tools, told.tenant_id, write)


def _keep(tools: Tools, event: Mapping[str, Any], why: str) -> None:
    # In ASCII: half of a surrogate pair, which no UTF-8 holds, is kept, too.
    letter = DeadLetter(body=json.dumps(event).encode(), reason=REASON, detail=why, field=FIELD)
    events.keep_dead_letters(
        tools.db.connection(), SYSTEM_TENANT, [letter], app_id=None, now=tools.clock.now
    )
