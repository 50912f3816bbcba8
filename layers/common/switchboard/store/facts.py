"""Trips and bookings: what internal services say is so, under their own external ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Literal
from uuid import UUID

import orjson

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "facts")

Result = Literal["created", "updated", "unchanged", "stale", "refused"]


@dataclass(frozen=True, slots=True)
class Trip:
    """A trip as the service told it last; dates and times are local in `timezone`.

    Amounts are in the minor unit of `currency`.
    """

    external_id: str
    id: UUID
    contact_id: UUID
    title: str | None
    destination: str | None
    status: str
    timezone: str
    start_date: date | None
    start_time: time | None
    end_date: date | None
    end_time: time | None
    budget_minor: int | None
    spent_minor: int
    currency: str | None
    attributes: dict[str, Any]
    as_of: datetime
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Booking:
    """A booking as the service told it last; `trip` is the external id of its trip.

    `pending_since` is set while it is pending: since when without a break.
    """

    external_id: str
    id: UUID
    contact_id: UUID
    trip: str | None
    kind: str | None
    title: str | None
    status: str
    pending_since: datetime | None
    starts_at: datetime | None
    timezone: str
    amount_minor: int | None
    currency: str | None
    attributes: dict[str, Any]
    as_of: datetime
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the fact at `place`; `wrong` names the member that it was refused for.

    `id` is None for one that was refused and is not there.
    """

    place: int
    result: Result
    wrong: str | None
    id: UUID | None
    contact_id: UUID
    as_of: datetime


def put_trips(
    connection: Connection,
    tenant_id: UUID,
    trips: Sequence[dict[str, Any]],
    *,
    now: datetime | None,
) -> list[Outcome]:
    """Write trips, each a document of all columns and its `place`; none stands twice.

    `contact_id` is no merged one's: hold contacts first. Refused are as_of and timezone.
    """
    return _put(connection, "put_trips", tenant_id, trips, now)


def put_bookings(
    connection: Connection,
    tenant_id: UUID,
    bookings: Sequence[dict[str, Any]],
    *,
    now: datetime | None,
) -> list[Outcome]:
    """Write bookings as `put_trips` does trips; a trip that is not there is refused, too."""
    return _put(connection, "put_bookings", tenant_id, bookings, now)


def load_trips(connection: Connection, tenant_id: UUID, external_ids: Sequence[str]) -> list[Trip]:
    """Return those that are there, the newest first."""
    parameters = {"tenant_id": tenant_id, "external_ids": list(external_ids)}
    return [Trip(*row) for row in connection.execute(_SQL["load_trips"], parameters)]


def load_bookings(
    connection: Connection, tenant_id: UUID, external_ids: Sequence[str]
) -> list[Booking]:
    """Return those that are there, the newest first."""
    parameters = {"tenant_id": tenant_id, "external_ids": list(external_ids)}
    return [Booking(*row) for row in connection.execute(_SQL["load_bookings"], parameters)]


def list_trips(
    connection: Connection,
    tenant_id: UUID,
    *,
    contact_id: UUID | None,
    status: str | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Trip]:
    """Return up to `limit` trips, the newest first, after the position `before`."""
    names = ("list_trips", "list_trips_by_status", "list_trips_of_contact")
    at, last = before or ("infinity", UUID(int=0))
    parameters = {
        "tenant_id": tenant_id,
        "contact_id": contact_id,
        "status": status,
        "before": at,
        "before_id": last,
        "limit": limit,
    }
    found = _list(connection, names, parameters)
    return load_trips(connection, tenant_id, found)


def list_bookings(
    connection: Connection,
    tenant_id: UUID,
    *,
    contact_id: UUID | None,
    status: str | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Booking]:
    """Return up to `limit` bookings, the newest first, after the position `before`."""
    names = ("list_bookings", "list_bookings_by_status", "list_bookings_of_contact")
    at, last = before or ("infinity", UUID(int=0))
    parameters = {
        "tenant_id": tenant_id,
        "contact_id": contact_id,
        "status": status,
        "before": at,
        "before_id": last,
        "limit": limit,
    }
    found = _list(connection, names, parameters)
    return load_bookings(connection, tenant_id, found)


def delete_trip(connection: Connection, tenant_id: UUID, external_id: str) -> None:
    """Forget a trip; its bookings stay, of no trip."""
    parameters = {"tenant_id": tenant_id, "external_id": external_id}
    connection.execute(_SQL["delete_trip"], parameters)


def delete_booking(connection: Connection, tenant_id: UUID, external_id: str) -> None:
    """Forget a booking."""
    parameters = {"tenant_id": tenant_id, "external_id": external_id}
    connection.execute(_SQL["delete_booking"], parameters)


def _put(
    connection: Connection,
    name: str,
    tenant_id: UUID,
    facts: Sequence[dict[str, Any]],
    now: datetime | None,
) -> list[Outcome]:
    done: list[Outcome] = []
    waiting = list(facts)
    while waiting:
        parameters = {"tenant_id": tenant_id, "facts": orjson.dumps(waiting).decode(), "now": now}
        rows = connection.execute(_SQL[name], parameters).fetchall()
        done += [Outcome(*row) for row in rows if row[1] != "raced"]
        # Somebody wrote them first, in this very moment: now they are there.
        raced = {row[0] for row in rows if row[1] == "raced"}
        waiting = [fact for fact in waiting if fact["place"] in raced]
    return sorted(done, key=lambda one: one.place)


def _list(
    connection: Connection, names: tuple[str, str, str], parameters: dict[str, Any]
) -> list[str]:
    """Return external ids by one of `names`: of all, of a status, of a contact."""
    by_contact, by_status = (parameters[name] is not None for name in ("contact_id", "status"))
    name = names[2 if by_contact else int(by_status)]
    return [external_id for (external_id,) in connection.execute(_SQL[name], parameters)]
