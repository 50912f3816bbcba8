"""What a rule would have done: what is asked for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from switchboard.kernel.db import Connection, queries
from switchboard.store import automations
from switchboard.store.automations import Planned

_SQL = queries(__package__ or "", "rehearsals")


class Occurrence(NamedTuple):
    """What a rule would be due for."""

    subject_id: UUID
    occurrence: str
    due_at: datetime


class SubjectFacts(NamedTuple):
    """The rows that a run of a subject looks at, as documents."""

    contact: dict[str, Any] | None
    trip: dict[str, Any] | None
    booking: dict[str, Any] | None


class Acted(NamedTuple):
    """How often a rule has acted for a person, and when last."""

    times: int
    last: datetime | None


def find_planned(
    connection: Connection,
    tenant_id: UUID,
    rule_id: UUID,
    *,
    since: datetime,
    until: datetime,
    limit: int,
) -> tuple[list[Occurrence], int]:
    """Return the first `limit` of what an active rule is planned for then, and how many they are.

    After `since`, no later than `until`; whether it has run or not.
    """
    rows = connection.execute(
        _SQL["planned"],
        {"tenant": tenant_id, "rule_id": rule_id, "since": since, "until": until, "limit": limit},
    ).fetchall()
    return [Occurrence(*row[:3]) for row in rows], rows[0][3] if rows else 0


def find_planned_of(
    connection: Connection,
    tenant_id: UUID,
    rule_id: UUID,
    columns: Mapping[str, Any],
    planned: Planned,
    *,
    since: datetime,
    until: datetime,
    limit: int,
) -> tuple[list[Occurrence], int]:
    """As `find_planned`, of a rule that is not written or not active: `rule_id` is nobody's.

    It is written for the asking and rolled back: the plan knows the rules of the table alone.
    """
    with connection.transaction(force_rollback=True):
        connection.execute(_SQL["begin"])
        whole = {**columns, "is_active": True}
        automations.insert_rule(connection, tenant_id, rule_id, whole, planned, now=since)
        return find_planned(connection, tenant_id, rule_id, since=since, until=until, limit=limit)


def find_facts(
    connection: Connection, tenant_id: UUID, subjects: Sequence[UUID], *, whose: UUID | None
) -> dict[UUID, SubjectFacts]:
    """Return what runs of these subjects would look at now; `whose`: the rule's one contact."""
    rows = connection.execute(
        _SQL["facts"], {"tenant": tenant_id, "subjects": list(subjects), "whose": whose}
    )
    return {row[0]: SubjectFacts(*row[1:]) for row in rows}


def find_acted(
    connection: Connection,
    tenant_id: UUID,
    rule_id: UUID,
    contacts: Sequence[UUID],
    *,
    since: datetime,
) -> dict[UUID, Acted]:
    """Return what a rule had done for these people by `since`."""
    rows = connection.execute(
        _SQL["acted_before"],
        {"tenant": tenant_id, "rule_id": rule_id, "contacts": list(contacts), "since": since},
    )
    return {row[0]: Acted(row[1], row[2]) for row in rows}
