"""Consents: what people have agreed to and taken back, and what they said elsewhere.

STOP and START come by themselves; what is recorded here was said in a form, on a call, in a shop.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, StringConstraints

from switchboard.kernel.arguments import Arguments
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import NotFound
from switchboard.kernel.page import Page, Paged, as_id, as_time, read_cursor, write_cursor
from switchboard.store import consents as store
from switchboard.store import contacts
from switchboard.store.consents import Consent
from switchboard.tools import Tools
from switchboard.transact import transact

#: Nobody has agreed to a message before. (Year 1 in another zone is a year 0 that cannot be read.)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


class ConsentFilter(Paged):
    """Which statements: of one contact, or all."""

    contact_id: UUID | None = Field(None, description="of this contact alone")


class NewConsent(Arguments):
    """What a person said elsewhere about getting messages."""

    contact_id: UUID = Field(description="the contact's id")
    state: Literal["given", "withdrawn"] = Field(description="given or withdrawn")
    wording: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)
    ] = Field(description="what they agreed to or said, and where: the proof")
    occurred_at: AwareDatetime | None = Field(
        None, ge=EARLIEST, description="when, as 2027-01-31T00:00:00Z; left out: now"
    )


def list_consents(tools: Tools, tenant_id: UUID, wanted: ConsentFilter) -> Page[Consent]:
    """Return the history, the newest recorded first; of a merged contact that of the root."""

    def read(connection: Connection) -> Page[Consent]:
        after = read_cursor("consents", wanted, 2)
        contact_id = wanted.contact_id
        if contact_id is not None:
            contact_id = contacts.find_root(connection, tenant_id, contact_id) or contact_id
        rows = store.list_consents(
            connection,
            tenant_id,
            contact_id=contact_id,
            before=(as_time(after[0]), as_id(after[1])) if after else None,
            limit=wanted.limit + 1,
        )
        shown = rows[: wanted.limit]
        if len(rows) == len(shown):
            return Page(shown, None)
        last = shown[-1]
        return Page(shown, write_cursor("consents", wanted, last.created_at, last.id))

    return transact(tools, tenant_id, read)


def record_consent(tools: Tools, tenant_id: UUID, new: NewConsent) -> Consent:
    """Add a statement; the opt-in state follows the newest one, so an older one changes nothing.

    Raises NotFound for an unknown or deleted contact.
    """
    statement = tools.clock.new_id()  # named once: the work may run twice

    def write(connection: Connection) -> Consent:
        contacts.hold(connection, tenant_id)
        root = contacts.find_root(connection, tenant_id, new.contact_id)
        if root is None or not contacts.load(connection, tenant_id, [root]):
            raise NotFound("this contact is not known", field="contact_id")
        return store.record(
            connection,
            tenant_id=tenant_id,
            contact_id=root,
            state=new.state,
            wording=new.wording,
            occurred_at=new.occurred_at,
            statement=statement,
            now=tools.clock.now,
        )

    return transact(tools, tenant_id, write)
