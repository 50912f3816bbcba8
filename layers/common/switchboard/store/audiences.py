"""Whom a campaign reaches, as queries for other statements to stand in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import sql

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "audiences")
#: Where a filter's condition stands in its query.
_MARK = "/* filter */ true"
#: Where a query of people stands in another one.
_PEOPLE = "/* people */ select %(tenant_id)s::uuid"


@dataclass(frozen=True, slots=True)
class People:
    """A query of people: `contact_id`, once each, and `given`, a JSON object of values for them.

    `parameters` are its own; whoever runs it, or puts it into a statement as
    `… from (<text>) as people`, gives `tenant_id` and `now` (None: the database's) besides. It
    shows the rows of the transaction's tenant and needs no order: sort where locks follow.
    """

    text: sql.SQL | sql.Composed
    parameters: Mapping[str, Any]


def all_contacts() -> People:
    """Everybody."""
    return People(sql.SQL(_SQL["all_contacts"]), {})


def tagged(tags: Sequence[str], *, every: bool) -> People:
    """Who has one of `tags`, or every one."""
    return People(sql.SQL(_SQL["tagged"]), {"tags": list(tags), "every_tag": every})


def segment(condition: sql.Composable, parameters: Mapping[str, Any]) -> People:
    """Whom a condition holds for: on `c`, a contact, and `heard`, its conversations' times."""
    head, _, tail = _SQL["segment"].partition(_MARK)
    return People(sql.Composed([sql.SQL(head), condition, sql.SQL(tail)]), parameters)


def people(phones: Sequence[str], contact_ids: Sequence[UUID]) -> People:
    """Those of these phones (digits, in the form that is kept) and ids that are known."""
    given = {"phones": list(phones), "contact_ids": list(contact_ids)}
    return People(sql.SQL(_SQL["people"]), given)


def members(list_id: UUID) -> People:
    """Who is on a stored list, with what it gives for them."""
    return People(sql.SQL(_SQL["members"]), {"list_id": list_id})


def count(connection: Connection, tenant_id: UUID, people: People, *, now: datetime | None) -> int:
    """Return how many people a query finds."""
    head, _, tail = _SQL["count"].partition(_PEOPLE)
    row = connection.execute(
        sql.Composed([sql.SQL(head), people.text, sql.SQL(tail)]),
        {**people.parameters, "tenant_id": tenant_id, "now": now},
    ).fetchone()
    assert row is not None
    return int(row[0])
