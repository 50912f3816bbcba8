"""Shows facts: one, or a page of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from switchboard.facts.given import FactFilter, is_external_id
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import NotFound
from switchboard.kernel.page import Page, page_of, read_moment
from switchboard.store import contacts
from switchboard.store.facts import Booking, Trip
from switchboard.tools import Tools
from switchboard.transact import transact

F = TypeVar("F", Trip, Booking)


@dataclass(frozen=True, slots=True)
class Kept(Generic[F]):
    """One kind of facts as the store keeps it: `word` for one of them, and its statements."""

    word: str
    load: Callable[[Connection, UUID, list[str]], list[F]]
    page: Callable[..., list[F]]
    delete: Callable[[Connection, UUID, str], None]

    def find(self, connection: Connection, tenant_id: UUID, external_id: str) -> F | None:
        """Return the fact under the service's id; None also where that can be none."""
        known = is_external_id(external_id)
        found = self.load(connection, tenant_id, [external_id]) if known else []
        return found[0] if found else None

    def show(self, connection: Connection, tenant_id: UUID, external_id: str) -> F:
        """Return it; raises NotFound."""
        return self.known(self.find(connection, tenant_id, external_id))

    def known(self, found: F | None) -> F:
        """Return what was found; raises NotFound where nothing was."""
        if found is None:
            raise NotFound(f"this {self.word} is not known")
        return found


def list_facts(
    tools: Tools, tenant_id: UUID, wanted: FactFilter, kept: Kept[F], *, status: str | None
) -> Page[F]:
    """Return a page, the newest first; of a merged contact that of the root."""
    name = f"{kept.word}s"

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
        rows = kept.page(
            connection,
            tenant_id,
            contact_id=contact_id,
            status=status,
            before=before,
            limit=wanted.limit + 1,
        )
        return page_of(name, wanted, rows, lambda last: (last.created_at, last.id))

    return transact(tools, tenant_id, work)


def show_fact(tools: Tools, tenant_id: UUID, external_id: str, kept: Kept[F]) -> F:
    """Return a fact; raises NotFound."""

    def work(connection: Connection) -> F:
        return kept.show(connection, tenant_id, external_id)

    return transact(tools, tenant_id, work)


def forget(tools: Tools, tenant_id: UUID, external_id: str, kept: Kept[F]) -> F:
    """Delete a fact, and return it as it was; raises NotFound."""
    before: list[F] = []

    def work(connection: Connection) -> F:
        found = kept.find(connection, tenant_id, external_id)
        # Where the link was lost at the commit, the first run has deleted it.
        if found is not None:
            before[:] = [found]
            kept.delete(connection, tenant_id, external_id)
        return kept.known(before[0] if before else None)

    return transact(tools, tenant_id, work)
