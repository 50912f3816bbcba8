"""Lists of people: made, shown, deleted; who is on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import psycopg
from pydantic import Field, StringConstraints, model_validator

from switchboard.campaigns.audience.kinds import MOST_GIVEN, Phone
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import Conflict, NotFound
from switchboard.kernel.page import Page, Paged, as_id, page_of, read_cursor, read_moment
from switchboard.store import contact_lists as store
from switchboard.store import identity
from switchboard.store.contact_lists import ContactList, Member
from switchboard.tools import Tools
from switchboard.transact import transact

#: A list of 100,000 goes in a second or two; the role's own limit is 3 s.
_DELETE_MS = 20_000


class NewList(Arguments):
    """A list to make."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)] = (
        Field(description="its name; no two lists have the same")
    )
    description: str | None = Field(None, max_length=500, description="what it is for")


class ListFilter(Paged):
    """Lists, all of them."""


class MemberFilter(Paged):
    """Who is on a list, all of them."""


class NewMembers(Arguments):
    """People to put on a list, each read and answered by itself."""

    members: list[dict[str, Any]] = Field(
        min_length=1,
        max_length=MOST_GIVEN,
        description="each {phone or contact_id, values: texts for a template's parameters}",
    )


class Leaving(Arguments):
    """People to take off a list."""

    phones: list[Phone] = Field(default=[], max_length=MOST_GIVEN, description="their numbers")
    contact_ids: list[UUID] = Field(default=[], max_length=MOST_GIVEN, description="their ids")

    @model_validator(mode="after")
    def _names_somebody(self) -> Leaving:
        if not self.phones and not self.contact_ids:
            raise ValueError("phones or contact_ids must name somebody")
        return self


@dataclass(frozen=True, slots=True)
class Left:
    """How many were on the list and are not any more."""

    removed: int


def list_lists(tools: Tools, tenant_id: UUID, wanted: ListFilter) -> Page[ContactList]:
    """Return lists, the newest first; their members are not counted here."""

    def read(connection: Connection) -> Page[ContactList]:
        rows = store.list_lists(
            connection,
            tenant_id,
            before=read_moment("lists", wanted),
            limit=wanted.limit + 1,
        )
        return page_of("lists", wanted, rows, lambda last: (last.created_at, last.id))

    return transact(tools, tenant_id, read)


def create_list(tools: Tools, tenant_id: UUID, new: NewList) -> ContactList:
    """Make a list without members. Raises Conflict for a name that is taken."""
    list_id = tools.clock.new_id()  # named once: the work may run twice

    def write(connection: Connection) -> ContactList:
        store.insert(
            connection,
            tenant_id=tenant_id,
            list_id=list_id,
            name=new.name,
            description=new.description,
            now=tools.clock.now,
        )
        return _show(connection, tenant_id, list_id)

    try:
        return transact(tools, tenant_id, write)
    except psycopg.errors.UniqueViolation:
        raise Conflict("another list has this name", field="name") from None


def show_list(tools: Tools, tenant_id: UUID, list_id: UUID) -> ContactList:
    """Return a list with the number of its members. Raises NotFound."""
    return transact(tools, tenant_id, lambda connection: _show(connection, tenant_id, list_id))


def delete_list(tools: Tools, tenant_id: UUID, list_id: UUID) -> ContactList:
    """Forget a list and who is on it, and return it as it was. Raises NotFound."""

    def write(connection: Connection) -> ContactList:
        shown = _show(connection, tenant_id, list_id)
        store.delete(connection, tenant_id, list_id)
        return shown

    return transact(tools, tenant_id, write, statement_timeout_ms=_DELETE_MS)


def list_members(
    tools: Tools, tenant_id: UUID, list_id: UUID, wanted: MemberFilter
) -> Page[Member]:
    """Return who is on a list in the order of their ids. Raises NotFound."""
    name = f"lists/{list_id}/members"

    def read(connection: Connection) -> Page[Member]:
        require_list(connection, tenant_id, list_id)
        after = read_cursor(name, wanted, 1)
        rows = store.list_members(
            connection,
            tenant_id,
            list_id,
            after=as_id(after[0]) if after else UUID(int=0),
            limit=wanted.limit + 1,
        )
        return page_of(name, wanted, rows, lambda last: (last.contact_id,))

    return transact(tools, tenant_id, read)


def remove_members(tools: Tools, tenant_id: UUID, list_id: UUID, leaving: Leaving) -> Left:
    """Take people off a list; who is not on it, or not known, is none of them. Raises NotFound."""

    def write(connection: Connection) -> Left:
        require_list(connection, tenant_id, list_id)
        found: Sequence[UUID] = [
            *identity.find_phones(connection, tenant_id, leaving.phones).values(),
            *identity.find_roots(connection, tenant_id, leaving.contact_ids).values(),
        ]
        return Left(store.delete_members(connection, tenant_id, list_id, found))

    return transact(tools, tenant_id, write)


def require_list(connection: Connection, tenant_id: UUID, list_id: UUID) -> None:
    """Keep a list from being deleted until the commit. Raises NotFound for an unknown one."""
    if not store.hold(connection, tenant_id, list_id):
        raise NotFound("this list is not known")


def _show(connection: Connection, tenant_id: UUID, list_id: UUID) -> ContactList:
    found = store.find(connection, tenant_id, list_id)
    if found is None:
        raise NotFound("this list is not known")
    return found
