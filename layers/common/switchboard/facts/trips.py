"""Trips: where a person goes and when, for how much, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Any, Literal
from uuid import UUID

from pydantic import Field, ValidationInfo, field_validator

from switchboard.facts.given import (
    Currency,
    Day,
    ExternalId,
    Fact,
    FactFilter,
    Minor,
    Text,
    TheFact,
    TimeOfDay,
)
from switchboard.facts.look import Kept, forget, list_facts, show_fact
from switchboard.facts.write import MOST, Named, WriteResults, name, put_one, read_items, write_each
from switchboard.kernel.arguments import Arguments, read
from switchboard.kernel.db import Connection
from switchboard.kernel.page import Page
from switchboard.store import facts as store
from switchboard.store.facts import Result, Trip
from switchboard.tools import Tools
from switchboard.transact import transact

Status = Literal["planned", "active", "completed", "cancelled"]
_TRIPS = Kept("trip", load=store.load_trips, page=store.list_trips, delete=store.delete_trip)


class TripState(Fact):
    """A trip as it is: what is left out is empty."""

    title: Text | None = Field(None, description="what it is called")
    destination: Text | None = Field(None, description="where it goes")
    status: Status = Field("planned", description="planned, active, completed or cancelled")
    start_date: Day | None = Field(None, description="first day, as 2027-01-31")
    start_time: TimeOfDay | None = Field(None, description="when it begins that day, as 09:30")
    end_date: Day | None = Field(None, description="last day")
    end_time: TimeOfDay | None = Field(None, description="when it ends that day")
    budget_minor: Minor | None = Field(
        None, description="what it may cost, in the currency's minor unit"
    )
    spent_minor: Minor = Field(0, description="what it has cost so far, likewise")
    currency: Currency | None = Field(
        None, validate_default=True, description="ISO 4217, as EUR; with an amount"
    )

    @field_validator("start_time", "end_time")
    @classmethod
    def _of_a_day(cls, value: time | None, info: ValidationInfo) -> time | None:
        day = str(info.field_name).replace("time", "date")
        # Where the day itself is wrong, it is not told a second time.
        if value is not None and day in info.data and info.data[day] is None:
            raise ValueError(f"needs {day}")
        return value

    @field_validator("end_date")
    @classmethod
    def _not_before_it_begins(cls, value: date | None, info: ValidationInfo) -> date | None:
        start = info.data.get("start_date")
        if value is not None and start is not None and value < start:
            raise ValueError("is before start_date")
        return value

    @field_validator("currency")
    @classmethod
    def _of_amounts(cls, value: str | None, info: ValidationInfo) -> str | None:
        budget, spent = info.data.get("budget_minor"), info.data.get("spent_minor")
        if value is None and (budget is not None or spent):
            raise ValueError("must be given with an amount")
        return value


class NewTrip(TripState):
    """A trip under the service's own id."""

    external_id: ExternalId = Field(description="your own id of it")


class Trips(Arguments):
    """Trips to write, each read and answered by itself."""

    trips: list[Any] = Field(
        min_length=1,
        max_length=MOST,
        description="each as the body of PUT /v1/trips/{external_id}, with external_id",
    )


class TripFilter(FactFilter):
    """Which trips."""

    status: Status | None = Field(None, description="in this state")


@dataclass(frozen=True, slots=True)
class TripWritten:
    """A trip, and what writing it changed: created, updated, unchanged, or stale."""

    result: Result
    trip: Trip


def list_trips(tools: Tools, tenant_id: UUID, wanted: TripFilter) -> Page[Trip]:
    """Return trips, the newest written first."""
    return list_facts(tools, tenant_id, wanted, _TRIPS, status=wanted.status)


def show_trip(tools: Tools, tenant_id: UUID, which: TheFact) -> Trip:
    """Return a trip; raises NotFound."""
    return show_fact(tools, tenant_id, which.external_id, _TRIPS)


def put_trip(tools: Tools, tenant_id: UUID, external_id: str, state: TripState) -> TripWritten:
    """Write a trip whole, unless what is known is newer; return it as it is then.

    Raises NotFound for an unknown contact, Unprocessable.
    """
    named = name(external_id, state)

    def work(connection: Connection) -> TripWritten:
        done = put_one(tools, connection, tenant_id, named, store.put_trips)
        return TripWritten(done.result, _TRIPS.show(connection, tenant_id, external_id))

    return transact(tools, tenant_id, work)


def write_trips(tools: Tools, tenant_id: UUID, items: Sequence[Any]) -> WriteResults:
    """Write up to a thousand trips, each for itself."""
    return WriteResults(write_each(tools, tenant_id, items, _named, store.put_trips))


def read_trips(body: Any) -> list[Any]:
    """Return the trips of a request's body, unread; raises BadRequest, Unprocessable."""
    return read_items(Trips, "trips", body)


def delete_trip(tools: Tools, tenant_id: UUID, which: TheFact) -> Trip:
    """Forget a trip, and return it as it was; its bookings stay. Raises NotFound."""
    return forget(tools, tenant_id, which.external_id, _TRIPS)


def _named(item: Any) -> Named[TripState]:
    trip = read(NewTrip, item)
    return Named(trip.external_id, trip)
