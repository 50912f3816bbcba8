"""A button that opens an address. Meta tells nobody of a tap."""

from __future__ import annotations

from typing import Literal

from switchboard.whatsapp.outbound._base import Part
from switchboard.whatsapp.outbound._media import Link
from switchboard.whatsapp.outbound.interactive._parts import (
    Body,
    Footer,
    Header,
    InteractiveMessage,
    Label,
)


class UrlButton(Part):
    """What is shown, up to 20 characters, and where it leads."""

    display_text: Label
    url: Link


class UrlAction(Part):
    """The one button."""

    name: Literal["cta_url"] = "cta_url"
    parameters: UrlButton


class CtaUrl(Part):
    """Cloud API, Interactive call-to-action URL button messages."""

    type: Literal["cta_url"] = "cta_url"
    header: Header | None = None
    body: Body
    footer: Footer | None = None
    action: UrlAction


class CtaUrlMessage(InteractiveMessage):
    """A text with a link as a button."""

    interactive: CtaUrl


MODEL = CtaUrlMessage
