"""A button that shares a place; it comes back as a location that answers this message."""

from __future__ import annotations

from typing import Literal

from switchboard.whatsapp.outbound._base import Part
from switchboard.whatsapp.outbound.interactive._parts import Body, InteractiveMessage


class SendLocation(Part):
    """Meta's name of the action."""

    name: Literal["send_location"] = "send_location"


class LocationRequest(Part):
    """Cloud API, Location request messages: a body alone."""

    type: Literal["location_request_message"] = "location_request_message"
    body: Body
    action: SendLocation


class LocationRequestMessage(InteractiveMessage):
    """A request for the person's place."""

    interactive: LocationRequest


MODEL = LocationRequestMessage
