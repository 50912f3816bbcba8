"""Bookings: what a person has booked, of a trip or by itself, and whether it is settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from switchboard.facts.given import (
    Currency,
    ExternalId,
    Fact,
    FactFilter,
    Minor,
    Moment,
    Text,
    TheFact,
)
from switchboard.facts.look import Kept, forget, list_facts, show_fact
from switchboard.facts.write import MOST, Named, WriteResults, name, put_one, read_items, write_each
from switchboard.kernel.arguments import Arguments, read
from switchboard.kernel.db import Connection
from switchboard.kernel.page import Page
from switchboard.store import facts as store
from switchboard.store.facts import Booking, Result
from switchboard.tools import Tools
from switchboard.transact import transact

Status = Literal["pending", "confirmed", "completed", "cancelled"]
_BOOKINGS = Kept(
    "booking", load=store.load_bookings, page=store.list_bookings, delete=store.delete_booking
)


class BookingState(Fact):
    """A booking as it is: what is left out is empty."""

    trip: ExternalId | None = Field(None, description="external_id of the trip that it is part of")
    kind: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = Field(
        None, description="what is booked, in your own word: flight, hotel, table"
    )
    title: Text | None = Field(None, description="what it is called")
    status: Status = Field("pending", description="pending, confirmed, completed or cancelled")
    starts_at: Moment | None = Field(None, description="when it begins, as 2027-01-31T09:30:00Z")
    amount_minor: Minor | None = Field(
        None, description="what it costs, in the currency's minor unit"
    )
    currency: Currency | None = Field(
        None, validate_default=True, description="ISO 4217, as EUR; with an amount"
    )

    @field_validator("currency")
    @classmethod
    def _of_an_amount(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("amount_minor") is not None:
            raise ValueError("must be given with an amount")
        return value


class NewBooking(BookingState):
    """A booking under the service's own id."""

    external_id: ExternalId = Field(description="your own id of it")


class Bookings(Arguments):
    """Bookings to write, each read and answered by itself."""

    bookings: list[Any] = Field(
        min_length=1,
        max_length=MOST,
        description="each as the body of PUT /v1/bookings/{external_id}, with external_id",
    )


class BookingFilter(FactFilter):
    """Which bookings."""

    status: Status | None = Field(None, description="in this state")


@dataclass(frozen=True, slots=True)
class BookingWritten:
    """A booking, and what writing it changed: created, updated, unchanged, or stale."""

    result: Result
    booking: Booking


def list_bookings(tools: Tools, tenant_id: UUID, wanted: BookingFilter) -> Page[Booking]:
    """Return bookings, the newest written first."""
    return list_facts(tools, tenant_id, wanted, _BOOKINGS, status=wanted.status)


def show_booking(tools: Tools, tenant_id: UUID, which: TheFact) -> Booking:
    """Return a booking; raises NotFound."""
    return show_fact(tools, tenant_id, which.external_id, _BOOKINGS)


def put_booking(
    tools: Tools, tenant_id: UUID, external_id: str, state: BookingState
) -> BookingWritten:
    """Write a booking whole, unless what is known is newer; return it as it is then.

    Raises NotFound for an unknown contact or trip, Unprocessable.
    """
    named = name(external_id, state)

    def work(connection: Connection) -> BookingWritten:
        done = put_one(tools, connection, tenant_id, named, store.put_bookings)
        return BookingWritten(done.result, _BOOKINGS.show(connection, tenant_id, external_id))

    return transact(tools, tenant_id, work)


def write_bookings(tools: Tools, tenant_id: UUID, items: Sequence[Any]) -> WriteResults:
    """Write up to a thousand bookings, each for itself."""
    return WriteResults(write_each(tools, tenant_id, items, _named, store.put_bookings))


def read_bookings(body: Any) -> list[Any]:
    """Return the bookings of a request's body, unread; raises BadRequest, Unprocessable."""
    return read_items(Bookings, "bookings", body)


def delete_booking(tools: Tools, tenant_id: UUID, which: TheFact) -> Booking:
    """Forget a booking, and return it as it was. Raises NotFound."""
    return forget(tools, tenant_id, which.external_id, _BOOKINGS)


def _named(item: Any) -> Named[BookingState]:
    booking = read(NewBooking, item)
    return Named(booking.external_id, booking)
