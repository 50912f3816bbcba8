"""A trip's start: days or hours before or after, local time of the trip.

Due once for each date that a trip starts on: one that is moved fires anew, one that is moved back
to a date it has fired for does not.
"""

from __future__ import annotations

from switchboard.automation.facts import Facts
from switchboard.automation.triggers._kind import TriggerKind
from switchboard.automation.triggers._trip import TripEnd, plan


def is_so(facts: Facts, occurrence: str) -> bool:
    """Return whether the trip still starts on the date that it was due for."""
    trip = facts.trip
    return bool(trip and trip["start_date"] == occurrence and trip["status"] != "cancelled")


KIND = TriggerKind(name="trip_start", config=TripEnd, plan=plan, is_so=is_so)
