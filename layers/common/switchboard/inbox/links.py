"""Tracked links: people follow them to where they lead, and each tap is noted on the way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

import psycopg
from psycopg import errors as pg
from pydantic import AwareDatetime, Field, model_validator

from switchboard.kernel.db import Connection
from switchboard.kernel.errors import Unavailable
from switchboard.kernel.log import log
from switchboard.kernel.page import Page, Paged, page_of, read_moment
from switchboard.store import links as store
from switchboard.store.links import Link
from switchboard.tools import Tools
from switchboard.transact import transact

#: The tokens that we make, of this release and of longer ones.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22,200}")
#: Programs that read an address before or instead of a person: previews in chats, mail and search.
#: (WhatsApp's own begins so; the browser inside the app does not.)
_ROBOT = re.compile(
    r"\AWhatsApp/|facebookexternalhit|facebookcatalog|meta-external|bot\b|bots\b|crawl|spider|slurp"
    r"|preview|embedly|vkshare|pinterest/0|safelinks|barracuda|proofpoint|mimecast"
    r"|\A(?:curl|wget|python|java|go-http-client|okhttp|libwww)",
    re.IGNORECASE,
)
#: Headers of a browser that fetches what its user may want later.
_AHEAD = ("purpose", "sec-purpose", "x-purpose", "x-moz")
_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)


class LinkFilter(Paged):
    """Which links: of one message, of one conversation, or all."""

    conversation: UUID | None = Field(None, description="of this conversation alone")
    message: UUID | None = Field(None, description="of this message alone")
    since: AwareDatetime | None = Field(
        None, ge=_ALWAYS, description="sent then or later, as 2027-01-31T00:00:00Z"
    )

    @model_validator(mode="after")
    def _of_one(self) -> LinkFilter:
        if self.conversation is not None and self.message is not None:
            raise ValueError("either conversation or message, not both")
        return self


def follow(tools: Tools, token: str, method: str, headers: Mapping[str, str]) -> str | None:
    """Return where the link leads, None for one that is unknown or over; note a person's tap.

    `headers` have names in lower case. Raises Unavailable when the database is away: nobody is led
    anywhere that is not written there.
    """
    if not _TOKEN.fullmatch(token):
        return None
    counts = method == "GET" and not _is_robot(headers)
    try:
        return _resolve(tools, token, counts=counts)
    except (pg.LockNotAvailable, pg.DeadlockDetected) as error:
        # A person waits: that they get there is worth more than their tap.
        log.warning("link.uncounted", sqlstate=error.sqlstate)
        return _resolve(tools, token, counts=False)


def _resolve(tools: Tools, token: str, *, counts: bool) -> str | None:
    now = tools.clock.now
    for again in (True, False):
        try:
            return store.resolve(tools.db.connection(), token, counts=counts, now=now)
        except (pg.LockNotAvailable, pg.DeadlockDetected):
            raise
        except psycopg.OperationalError as error:
            # The link may have died since the last call: once more on a new one. (A tap that was
            # noted all the same is not noted again: one counts in two seconds.)
            tools.db.drop()
            if not again:
                raise Unavailable("the database was lost") from error
    raise AssertionError("unreachable")


def _is_robot(headers: Mapping[str, str]) -> bool:
    agent = headers.get("user-agent", "")
    ahead = " ".join(headers.get(name, "") for name in _AHEAD).lower()
    return (
        not agent or _ROBOT.search(agent) is not None or "prefetch" in ahead or "preview" in ahead
    )


def list_links(tools: Tools, tenant_id: UUID, wanted: LinkFilter) -> Page[Link]:
    """Return links with their taps, the newest first."""

    def read(connection: Connection) -> Page[Link]:
        rows = store.list_links(
            connection,
            tenant_id,
            conversation_id=wanted.conversation,
            message_id=wanted.message,
            since=wanted.since or _ALWAYS,
            before=read_moment("links", wanted),
            limit=wanted.limit + 1,
        )
        return page_of("links", wanted, rows, lambda last: (last.created_at, last.id))

    return transact(tools, tenant_id, read)
