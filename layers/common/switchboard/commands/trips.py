"""trips: what internal services say of them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import BeforeValidator, Field

from switchboard.commands._facts import GivenFile, import_file
from switchboard.commands._given import as_object
from switchboard.commands._resource import Command, Resource
from switchboard.facts import trips
from switchboard.facts.given import Attributes, TheFact
from switchboard.facts.lines import Imported
from switchboard.facts.trips import NewTrip, TripFilter, TripWritten
from switchboard.kernel.page import Page
from switchboard.store.facts import Trip
from switchboard.tools import Tools


class GivenTrip(NewTrip):
    """A trip as it is from now on."""

    attributes: Annotated[Attributes, BeforeValidator(as_object)] = Field(
        {}, description="whatever else there is to know, as JSON, or @ and the path of a file"
    )


def list_trips(tools: Tools, tenant_id: UUID, wanted: TripFilter) -> Page[Trip]:
    """List trips, the newest written first."""
    return trips.list_trips(tools, tenant_id, wanted)


def show_trip(tools: Tools, tenant_id: UUID, which: TheFact) -> Trip:
    """Show a trip."""
    return trips.show_trip(tools, tenant_id, which)


def put_trip(tools: Tools, tenant_id: UUID, given: GivenTrip) -> TripWritten:
    """Write a trip whole, unless what is known is newer."""
    return trips.put_trip(tools, tenant_id, given.external_id, given)


def delete_trip(tools: Tools, tenant_id: UUID, which: TheFact) -> Trip:
    """Forget a trip, and show it as it was; its bookings stay."""
    return trips.delete_trip(tools, tenant_id, which)


def import_trips(tools: Tools, tenant_id: UUID, given: GivenFile) -> Imported:
    """Write the trips of a file, each line for itself, and tell what is wrong in which."""
    return import_file(tools, tenant_id, given, trips.write_trips)


KIND = Resource(
    "trips",
    "trips, as internal services tell of them",
    (
        Command(
            "list",
            TripFilter,
            list_trips,
            "--status active",
            ("external_id", "contact_id", "title", "status", "start_date", "end_date", "timezone"),
        ),
        Command("show", TheFact, show_trip, "--external-id T-1001"),
        Command(
            "put",
            GivenTrip,
            put_trip,
            "--external-id T-1001 --phone +4915550000001 --status planned"
            " --timezone America/Lima --start-date 2027-01-31",
        ),
        Command("delete", TheFact, delete_trip, "--external-id T-1001"),
        Command("import", GivenFile, import_trips, "--file trips.jsonl"),
    ),
)
