"""A form for a postal address (India); it comes back as `interactive.nfm_reply`."""

from __future__ import annotations

from typing import Literal

from switchboard.whatsapp.outbound._base import Part, Word
from switchboard.whatsapp.outbound.interactive._parts import (
    Body,
    Footer,
    Header,
    InteractiveMessage,
)


class SavedAddress(Part):
    """One that the person may choose instead of typing."""

    id: Word
    value: dict[str, str]


class AddressParameters(Part):
    """The country (ISO code), what is filled in already, and what was wrong with it."""

    country: Word
    values: dict[str, str] | None = None
    saved_addresses: list[SavedAddress] | None = None
    validation_errors: dict[str, str] | None = None


class AddressAction(Part):
    """Meta's name of the action."""

    name: Literal["address_message"] = "address_message"
    parameters: AddressParameters


class AddressRequest(Part):
    """Cloud API, Address messages."""

    type: Literal["address_message"] = "address_message"
    header: Header | None = None
    body: Body
    footer: Footer | None = None
    action: AddressAction


class AddressRequestMessage(InteractiveMessage):
    """A request for an address."""

    interactive: AddressRequest


MODEL = AddressRequestMessage
