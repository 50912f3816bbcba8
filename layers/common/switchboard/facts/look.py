"""Shows facts: one, or a page of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from switchboard.facts.given import FactFilter
from switchboard.kernel.db import Connection
from switchboard.kernel.page import Page, page_of, read_moment
from switchboard.store import contacts
from switchboard.store.facts import Booking, Trip
from switchboard.tools import Tools
from switchboard.transact import transact

F = TypeVar("F", Trip, Booking)


def list_facts(
    tools: Tools,
    tenant_id: UUID,
    wanted: FactFilter,
    *,
    name: str,
    status: str | None,
    find: Callable[..., list[F]],
) -> Page[F]:
    """Return a page of the list `name`, the newest first; of a merged contact that of the root.

    `find` is a list of the store.
    """

    def work(connection: Connection) -> Page[F]:
        before = read_moment(name, wanted)
        contact_id = wanted.contact_id
        if wanted.phone is not None:
            found = contacts.find_by_identifier(connection, tenant_id, "phone", wanted.phone)
            if found is None or contact_id not in {None, found}:
                return Page([], None)
            contact_id = found
        elif contact_id is not None:
            contact_id = contacts.find_root(connection, tenant_id, contact_id) or contact_id
        rows = find(
            connection,
            tenant_id,
            contact_id=contact_id,
            status=status,
            before=before,
            limit=wanted.limit + 1,
        )
        return page_of(name, wanted, rows, lambda last: (last.created_at, last.id))

    return transact(tools, tenant_id, work)


def forget(
    tools: Tools,
    tenant_id: UUID,
    show: Callable[[Connection], F | None],
    delete: Callable[[Connection], None],
) -> F | None:
    """Delete what `show` shows, and return it as it was; None where there is nothing."""
    before: list[F] = []

    def work(connection: Connection) -> F | None:
        found = show(connection)
        # Where the link was lost at the commit, the first run has deleted it.
        if found is not None:
            before[:] = [found]
            delete(connection)
        return before[0] if before else None

    return transact(tools, tenant_id, work)
