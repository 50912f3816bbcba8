"""Changes the trip that the run is about, or the trip of its booking.

What it writes is planned for like any other write, except for the rules of the chain it is part of.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from switchboard.automation.actions._kind import ActionKind, ChangeTrip, Pass
from switchboard.automation.facts import Facts
from switchboard.kernel.arguments import Arguments

_Short = Annotated[str, StringConstraints(min_length=1, max_length=500)]
_Name = Annotated[str, StringConstraints(pattern=r"^[^.\s]{1,100}$")]


class UpdateTrip(Arguments):
    """New values; attributes are merged into those that the trip has."""

    status: Literal["planned", "active", "completed", "cancelled"] | None = None
    title: _Short | None = None
    destination: _Short | None = None
    attributes: Annotated[dict[_Name, str | int | float | bool | None], Field(max_length=50)] = (
        Field(default_factory=dict)
    )

    @model_validator(mode="after")
    def _something(self) -> UpdateTrip:
        if not (self.status or self.title or self.destination or self.attributes):
            raise ValueError("status, title, destination or attributes must be given")
        return self


def act(config: UpdateTrip, facts: Facts) -> ChangeTrip:
    """Return the change; raises Pass where there is no trip."""
    if facts.trip is None:
        raise Pass("no_trip")
    named: dict[str, Any] = {
        "status": config.status,
        "title": config.title,
        "destination": config.destination,
    }
    return ChangeTrip(
        trip_id=UUID(str(facts.trip["id"])),
        columns={name: value for name, value in named.items() if value is not None},
        attributes=config.attributes,
    )


KIND = ActionKind(name="update_trip", config=UpdateTrip, act=act)
