"""bookings: what internal services say of them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import BeforeValidator, Field

from switchboard.commands._facts import GivenFile, import_file
from switchboard.commands._given import as_object
from switchboard.commands._resource import Command, Resource
from switchboard.facts import bookings
from switchboard.facts.bookings import BookingFilter, BookingWritten, NewBooking
from switchboard.facts.given import Attributes, TheFact
from switchboard.facts.lines import Imported
from switchboard.kernel.page import Page
from switchboard.store.facts import Booking
from switchboard.tools import Tools


class GivenBooking(NewBooking):
    """A booking as it is from now on."""

    attributes: Annotated[Attributes, BeforeValidator(as_object)] = Field(
        {}, description="whatever else there is to know, as JSON, or @ and the path of a file"
    )


def list_bookings(tools: Tools, tenant_id: UUID, wanted: BookingFilter) -> Page[Booking]:
    """List bookings, the newest written first."""
    return bookings.list_bookings(tools, tenant_id, wanted)


def show_booking(tools: Tools, tenant_id: UUID, which: TheFact) -> Booking:
    """Show a booking."""
    return bookings.show_booking(tools, tenant_id, which)


def put_booking(tools: Tools, tenant_id: UUID, given: GivenBooking) -> BookingWritten:
    """Write a booking whole, unless what is known is newer."""
    return bookings.put_booking(tools, tenant_id, given.external_id, given)


def delete_booking(tools: Tools, tenant_id: UUID, which: TheFact) -> Booking:
    """Forget a booking, and show it as it was."""
    return bookings.delete_booking(tools, tenant_id, which)


def import_bookings(tools: Tools, tenant_id: UUID, given: GivenFile) -> Imported:
    """Write the bookings of a file, each line for itself, and tell what is wrong in which."""
    return import_file(tools, tenant_id, given, bookings.write_bookings)


KIND = Resource(
    "bookings",
    "bookings, as internal services tell of them",
    (
        Command(
            "list",
            BookingFilter,
            list_bookings,
            "--status pending",
            ("external_id", "contact_id", "trip", "kind", "status", "pending_since", "starts_at"),
        ),
        Command("show", TheFact, show_booking, "--external-id B-2001"),
        Command(
            "put",
            GivenBooking,
            put_booking,
            "--external-id B-2001 --phone +4915550000001 --trip T-1001 --kind hotel"
            " --amount-minor 45000 --currency EUR",
        ),
        Command("delete", TheFact, delete_booking, "--external-id B-2001"),
        Command("import", GivenFile, import_bookings, "--file bookings.jsonl"),
    ),
)
