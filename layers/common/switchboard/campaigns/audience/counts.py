"""How many people an audience has, asked while somebody waits for the answer."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import psycopg
from pydantic import Field

from switchboard.campaigns.audience.kinds import Audience, CustomList, select_people
from switchboard.campaigns.audience.lists import require_list
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import NotFound, Unavailable, Unprocessable
from switchboard.store import audiences as store
from switchboard.tools import Tools
from switchboard.transact import transact

#: Milliseconds that a count may take; API Gateway waits for 30 s.
COUNT_MS = 15_000


class CountWanted(Arguments):
    """The audience to count."""

    audience: Audience = Field(description="as in docs/audiences.md")


@dataclass(frozen=True, slots=True)
class Count:
    """How many contacts are in an audience now, whatever they have agreed to."""

    contacts: int


def count_audience(
    tools: Tools, tenant_id: UUID, wanted: CountWanted, *, within_ms: int = COUNT_MS
) -> Count:
    """Count an audience.

    Raises Unprocessable for a list that is not known, Unavailable where it takes longer than
    `within_ms`.
    """

    def read(connection: Connection) -> Count:
        require_known(connection, tenant_id, wanted.audience)
        people = select_people(wanted.audience)
        return Count(store.count(connection, tenant_id, people, now=tools.clock.now))

    try:
        return transact(tools, tenant_id, read, statement_timeout_ms=within_ms)
    except Unavailable as error:
        if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise Unavailable(
                f"this audience could not be counted within {within_ms / 1000:g} s; a campaign"
                " takes the time that it needs",
                field="audience",
            ) from error
        raise


def require_known(connection: Connection, tenant_id: UUID, audience: Audience) -> None:
    """Keep the list of an audience from being deleted until the commit, where it names one.

    Raises Unprocessable for one that is not known.
    """
    if isinstance(audience, CustomList) and audience.list_id is not None:
        try:
            require_list(connection, tenant_id, audience.list_id)
        except NotFound as error:
            raise Unprocessable(error.detail, field="audience.list_id") from None
