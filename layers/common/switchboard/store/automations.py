"""Automations: their rules, what is due, what ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from psycopg.rows import class_row

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "automations")
#: No id comes after it.
_LAST = UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as people see it; the durations in seconds."""

    id: UUID
    name: str
    description: str | None
    contact_id: UUID | None
    trigger_type: str
    trigger_config: Mapping[str, Any]
    conditions: Mapping[str, Any]
    action_type: str
    action_config: Mapping[str, Any]
    is_active: bool
    cool_down_s: int | None
    cap_per_contact: int | None
    grace_s: int
    last_triggered_at: datetime | None
    metadata: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Planned:
    """What planning reads of a rule's trigger: the columns of the same names."""

    days: int | None
    at: time | None
    delay: timedelta | None
    percent: int | None
    listens_to: str | None


@dataclass(frozen=True, slots=True)
class Due:
    """An occurrence whose turn has come, taken; `is_started`: not let pass, not run before."""

    tenant_id: UUID
    rule_id: UUID
    subject_id: UUID
    occurrence: str
    due_at: datetime
    trigger_type: str
    trigger_config: Mapping[str, Any]
    grace: timedelta
    is_started: bool


@dataclass(frozen=True, slots=True)
class Next:
    """The next instant of a rule's schedule."""

    tenant_id: UUID
    rule_id: UUID
    occurrence: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """A run as people see it."""

    id: UUID
    rule_id: UUID
    subject_id: UUID
    occurrence: str
    contact_id: UUID | None
    due_at: datetime
    started_by: str
    chain: Sequence[UUID]
    status: str
    reason: str | None
    result: Any
    message_id: UUID | None
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that has not ended, locked, with its rule and the rows it looks at as documents."""

    id: UUID
    rule_id: UUID
    subject_id: UUID
    occurrence: str
    started_by: str
    chain: Sequence[UUID]
    is_active: bool
    trigger_type: str
    trigger_config: Mapping[str, Any]
    conditions: Mapping[str, Any]
    action_type: str
    action_config: Mapping[str, Any]
    cool_down_s: int | None
    cap_per_contact: int | None
    whose: UUID | None
    contact: Mapping[str, Any] | None
    trip: Mapping[str, Any] | None
    booking: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Subject:
    """A trip or a booking; `pending_since` of a booking that is pending."""

    id: UUID
    contact_id: UUID
    pending_since: datetime | None


def is_tenant_active(connection: Connection, tenant_id: UUID) -> bool:
    """Return whether there is such a tenant and it is not disabled; needs its transaction."""
    return (
        connection.execute(_SQL["is_tenant_active"], {"tenant": tenant_id}).fetchone() is not None
    )


def read_now(connection: Connection, *, now: datetime | None) -> datetime:
    """Return the database's time, or `now`."""
    row = connection.execute(_SQL["now"], {"now": now}).fetchone()
    assert row is not None
    found: datetime = row[0]
    return found


def hold_facts(connection: Connection, tenant_id: UUID) -> None:
    """Begin to look at facts and rules: until the commit no rule is written."""
    connection.execute(_SQL["hold_contacts"], {"tenant": tenant_id})
    connection.execute(_SQL["hold_facts"], {"tenant": tenant_id})


def hold_rules(connection: Connection, tenant_id: UUID, *, now: datetime | None) -> None:
    """Begin to write rules: until the commit nobody writes facts or another rule of the tenant."""
    connection.execute(_SQL["set_now"], {"now": now})
    connection.execute(_SQL["hold_contacts"], {"tenant": tenant_id})
    connection.execute(_SQL["hold_rules"], {"tenant": tenant_id})


def lock_rule(connection: Connection, tenant_id: UUID, rule_id: UUID) -> bool:
    """Lock a rule's row, behind `hold_rules`, so that nobody takes what is due of it meanwhile."""
    found = connection.execute(_SQL["lock_rule"], {"tenant": tenant_id, "id": rule_id})
    return found.fetchone() is not None


def insert_rule(
    connection: Connection,
    tenant_id: UUID,
    rule_id: UUID,
    columns: Mapping[str, Any],
    planned: Planned,
    *,
    now: datetime | None,
) -> None:
    """Write a rule, behind `hold_rules`: what it is due for is planned with it, schedules apart."""
    connection.execute(_SQL["insert_rule"], _written(tenant_id, rule_id, columns, planned, now=now))


def update_rule(
    connection: Connection,
    tenant_id: UUID,
    rule_id: UUID,
    columns: Mapping[str, Any],
    planned: Planned,
    *,
    now: datetime | None,
) -> None:
    """Write a rule anew, behind `lock_rule`."""
    connection.execute(_SQL["update_rule"], _written(tenant_id, rule_id, columns, planned, now=now))


def _written(
    tenant_id: UUID,
    rule_id: UUID,
    columns: Mapping[str, Any],
    planned: Planned,
    *,
    now: datetime | None,
) -> dict[str, Any]:
    documents = ("trigger_config", "conditions", "action_config", "metadata")
    return {
        **columns,
        **{name: orjson.dumps(columns[name]).decode() for name in documents},
        "plan_days": planned.days,
        "plan_at": planned.at,
        "plan_delay": planned.delay,
        "plan_percent": planned.percent,
        "listens_to": planned.listens_to,
        "tenant": tenant_id,
        "id": rule_id,
        "now": now,
    }


def delete_rule(connection: Connection, tenant_id: UUID, rule_id: UUID) -> None:
    """Forget a rule, what is due of it and what it ran, behind `lock_rule`."""
    connection.execute(_SQL["delete_rule"], {"tenant": tenant_id, "id": rule_id})


def find_rule(connection: Connection, tenant_id: UUID, rule_id: UUID) -> Rule | None:
    """Return a rule."""
    with connection.cursor(row_factory=class_row(Rule)) as cursor:
        return cursor.execute(_SQL["find_rule"], {"tenant": tenant_id, "id": rule_id}).fetchone()


def find_rules(
    connection: Connection,
    tenant_id: UUID,
    *,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Rule]:
    """Return those made before that place, the newest first."""
    at, key = before or ("infinity", _LAST)
    with connection.cursor(row_factory=class_row(Rule)) as cursor:
        return cursor.execute(
            _SQL["find_rules"],
            {"tenant": tenant_id, "before_at": at, "before_id": key, "limit": limit},
        ).fetchall()


def find_runs(
    connection: Connection,
    tenant_id: UUID,
    rule_id: UUID,
    *,
    states: Sequence[str],
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Run]:
    """Return a rule's runs, the newest first."""
    at, key = before or ("infinity", _LAST)
    with connection.cursor(row_factory=class_row(Run)) as cursor:
        return cursor.execute(
            _SQL["find_runs"],
            {
                "tenant": tenant_id,
                "rule_id": rule_id,
                "states": list(states),
                "before_at": at,
                "before_id": key,
                "limit": limit,
            },
        ).fetchall()


def write_schedule(
    connection: Connection, tenant_id: UUID, rule_id: UUID, upcoming: Next | None
) -> None:
    """Make `upcoming` the one instant that a rule is due at; None: none."""
    key = {"tenant": tenant_id, "id": rule_id}
    connection.execute(_SQL["clear_schedule"], key)
    if upcoming is not None:
        connection.execute(
            _SQL["put_schedule"],
            {**key, "occurrence": upcoming.occurrence, "due_at": upcoming.due_at},
        )


def take_due(connection: Connection, *, limit: int, now: datetime | None) -> list[Due]:
    """Take up to `limit` of what is due over all tenants, and start or skip its runs.

    In the caller's transaction, in which the next instants of the schedules among them are planned.
    """
    with connection.cursor(row_factory=class_row(Due)) as cursor:
        return cursor.execute(_SQL["due"], {"limit": limit, "now": now}).fetchall()


def plan_schedules(connection: Connection, upcoming: Sequence[Next]) -> None:
    """Plan the next instants of schedules of any tenants."""
    document = [
        {"t": one.tenant_id, "r": one.rule_id, "o": one.occurrence, "u": one.due_at}
        for one in upcoming
    ]
    connection.execute(_SQL["plan_schedules"], {"next": orjson.dumps(document).decode()})


def find_subject(connection: Connection, tenant_id: UUID, subject: str) -> Subject | None:
    """Return the trip or booking that `subject` names: the service's id, or ours."""
    with connection.cursor(row_factory=class_row(Subject)) as cursor:
        return cursor.execute(
            _SQL["find_subject"], {"tenant": tenant_id, "subject": subject, "id": _id(subject)}
        ).fetchone()


def find_contact(
    connection: Connection, tenant_id: UUID, contact_id: UUID | None, phone: str | None
) -> UUID | None:
    """Return the contact by an id of ours, or by the phone number as it is kept."""
    row = connection.execute(
        _SQL["find_contact"], {"tenant": tenant_id, "id": contact_id, "phone": phone}
    ).fetchone()
    return None if row is None else row[0]


def start_event(
    connection: Connection,
    tenant_id: UUID,
    event: str,
    *,
    subject: Subject | None,
    subject_id: UUID | None,
    contact_id: UUID | None,
    occurrence: str | None,
    told: str,
    now: datetime | None,
) -> int:
    """Start the rules that listen to `event`, and return how many; `told` names this telling."""
    since = subject and subject.pending_since
    return connection.execute(
        _SQL["start_event"],
        {
            "tenant": tenant_id,
            "event": event,
            "subject_id": subject_id,
            "contact_id": contact_id,
            "occurrence": occurrence,
            "pending_since": since and f"{since:%Y-%m-%dT%H:%M:%S.%fZ}",
            "told": told,
            "now": now,
        },
    ).rowcount


def open_run(
    connection: Connection, tenant_id: UUID, run_id: UUID, *, now: datetime | None
) -> OpenRun | None:
    """Lock a run that has not ended and read what it looks at; None where it has."""
    connection.execute(_SQL["set_now"], {"now": now})
    # In the order of all who write: contacts, facts, and only then rows.
    connection.execute(_SQL["hold_contacts"], {"tenant": tenant_id})
    connection.execute(_SQL["hold_facts"], {"tenant": tenant_id})
    with connection.cursor(row_factory=class_row(OpenRun)) as cursor:
        return cursor.execute(_SQL["lock_run"], {"tenant": tenant_id, "id": run_id}).fetchone()


def ran_before(
    connection: Connection,
    tenant_id: UUID,
    rule_id: UUID,
    contact_id: UUID,
    *,
    cool_down_s: int | None,
    now: datetime | None,
) -> tuple[int, bool]:
    """Return how often a rule has acted for a person, and whether within the cool-down.

    Until the commit no other run of the two decides.
    """
    key = {"tenant": tenant_id, "rule_id": rule_id, "contact_id": contact_id}
    connection.execute(_SQL["hold_person"], key)
    row = connection.execute(
        _SQL["ran_before"], {**key, "cool_down_s": cool_down_s, "now": now}
    ).fetchone()
    assert row is not None
    return row[0], cool_down_s is not None and row[1]


def finish_run(
    connection: Connection,
    tenant_id: UUID,
    run_id: UUID,
    *,
    status: str,
    contact_id: UUID | None,
    reason: str | None = None,
    result: Mapping[str, Any] | None = None,
    message_id: UUID | None = None,
    now: datetime | None,
) -> None:
    """Record how a run ended."""
    connection.execute(
        _SQL["finish_run"],
        {
            "tenant": tenant_id,
            "id": run_id,
            "status": status,
            "contact_id": contact_id,
            "reason": reason,
            "result": None if result is None else orjson.dumps(result).decode(),
            "message_id": message_id,
            "now": now,
        },
    )


def find_numbers(
    connection: Connection, tenant_id: UUID, contacts: Sequence[UUID]
) -> dict[UUID, str]:
    """Return the number to speak to each person from; nobody's where the tenant has none."""
    rows = connection.execute(
        _SQL["find_numbers"], {"tenant": tenant_id, "contacts": list(contacts)}
    )
    return {row[0]: row[1] for row in rows}


def change_trip(
    connection: Connection,
    tenant_id: UUID,
    trip_id: UUID,
    columns: Mapping[str, Any],
    attributes: Mapping[str, Any],
    *,
    chain: Sequence[UUID],
    now: datetime | None,
) -> bool:
    """Change a trip for the rules of `chain`, none of which it can start again."""
    connection.execute(_SQL["set_chain"], {"chain": list(chain)})
    changed = connection.execute(
        _SQL["change_trip"],
        {
            "status": None,
            "title": None,
            "destination": None,
            **columns,
            "attributes": orjson.dumps(attributes).decode(),
            "tenant": tenant_id,
            "id": trip_id,
            "now": now,
        },
    ).rowcount
    connection.execute(_SQL["set_chain"], {"chain": []})
    return changed > 0


class Retired(NamedTuple):
    """How many runs were forgotten, and the place to go on behind; no tenant: that was all."""

    gone: int
    tenant_id: UUID | None
    started_at: datetime | None
    id: UUID | None


#: Before the first run.
BEGINNING = Retired(0, UUID(int=0), None, None)


def retire_runs(
    connection: Connection, *, keep: timedelta, limit: int, after: Retired, now: datetime | None
) -> Retired:
    """Forget what ended longer ago than `keep` and does not count any more, of any tenant.

    It looks at no more than `limit` runs behind `after`.
    """
    row = connection.execute(
        _SQL["retire_runs"],
        {
            "keep": keep,
            "limit": limit,
            "tenant_id": after.tenant_id,
            "started": after.started_at,
            "id": after.id,
            "now": now,
        },
    ).fetchone()
    assert row is not None
    return Retired(*row)


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
