"""Mails as people see them, and the addresses that get none; lifting that of one."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from switchboard.kernel.arguments import Arguments
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import NotFound
from switchboard.kernel.page import Page, Paged, page_of, read_moment
from switchboard.store import consents, contacts
from switchboard.store import emails as store
from switchboard.store.consents import Statement
from switchboard.store.emails import Email, Suppression, WholeEmail
from switchboard.tools import Tools
from switchboard.transact import transact

Status = Literal[
    "pending",
    "sending",
    "unconfirmed",
    "sent",
    "delivered",
    "bounced",
    "complained",
    "rejected",
    "failed",
    "denied",
    "suppressed",
]


class EmailFilter(Paged):
    """Which mails: of one contact, of one status, or all."""

    contact_id: UUID | None = Field(None, description="of this contact alone")
    status: Status | None = Field(None, description="such as bounced")


class Lift(Arguments):
    """Why an address may get mails again."""

    wording: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)
    ] = Field(description="what the person said, or how the address was mended: the proof")


def list_emails(tools: Tools, tenant_id: UUID, wanted: EmailFilter) -> Page[Email]:
    """Return mails, the newest first; of a merged contact those of the root."""

    def read(connection: Connection) -> Page[Email]:
        contact_id = wanted.contact_id
        if contact_id is not None:
            contact_id = contacts.find_root(connection, tenant_id, contact_id) or contact_id
        rows = store.list_emails(
            connection,
            tenant_id,
            contact_id=contact_id,
            status=wanted.status,
            before=read_moment("emails", wanted),
            limit=wanted.limit + 1,
        )
        return page_of("emails", wanted, rows, lambda last: (last.created_at, last.id))

    return transact(tools, tenant_id, read)


def show_email(tools: Tools, tenant_id: UUID, email_id: UUID) -> WholeEmail:
    """Return a mail with its texts, verdicts and events; raises NotFound."""

    def read(connection: Connection) -> WholeEmail:
        found = store.show(connection, tenant_id, email_id)
        if found is None:
            raise NotFound("this e-mail is not known")
        return found

    return transact(tools, tenant_id, read)


def list_suppressions(tools: Tools, tenant_id: UUID, wanted: Paged) -> Page[Suppression]:
    """Return the addresses that get nothing more, the newest first."""

    def read(connection: Connection) -> Page[Suppression]:
        rows = store.list_suppressions(
            connection,
            tenant_id,
            before=read_moment("email suppressions", wanted),
            limit=wanted.limit + 1,
        )
        return page_of("email suppressions", wanted, rows, lambda last: (last.created_at, last.id))

    return transact(tools, tenant_id, read)


def lift_suppression(tools: Tools, tenant_id: UUID, suppression_id: UUID, why: Lift) -> Suppression:
    """Let an address get mails again, and return the suppression as it was; raises NotFound.

    After a complaint that is an agreement of the person's: it is kept among the consents. SES may
    have the address on its own list all the same.
    """
    before: list[Suppression] = []
    name = tools.clock.new_id()  # named once: the work may run twice

    def write(connection: Connection) -> Suppression:
        contacts.hold(connection, tenant_id)
        found = store.lock_suppression(connection, tenant_id, suppression_id)
        before[:] = [found] if found else before
        if not before:
            raise NotFound("this suppression is not known")
        if before[0].reason == "complaint":
            said = Statement(
                name, before[0].contact_id, "given", why.wording, tools.clock.now, scope="email"
            )
            consents.record(connection, tenant_id, [said], now=tools.clock.now)
        store.delete_suppression(connection, tenant_id, suppression_id)
        return before[0]

    return transact(tools, tenant_id, write)
