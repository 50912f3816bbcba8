"""A button that shares the person's number; it comes back as a message of type `contacts`."""

from __future__ import annotations

from typing import Literal

from switchboard.whatsapp.outbound._base import Part
from switchboard.whatsapp.outbound.interactive._parts import Body, InteractiveMessage


class AskContactInfo(Part):
    """Meta's name of the action."""

    name: Literal["request_contact_info"] = "request_contact_info"


class ContactInfoRequest(Part):
    """For people with a username, whose number the business does not know (since July 2026)."""

    type: Literal["request_contact_info"] = "request_contact_info"
    body: Body
    action: AskContactInfo


class ContactInfoRequestMessage(InteractiveMessage):
    """A request for the person's number."""

    interactive: ContactInfoRequest


MODEL = ContactInfoRequestMessage
