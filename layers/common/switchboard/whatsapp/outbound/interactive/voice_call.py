"""A button that calls the business. A tap is a call, with `payload` as its `cta_payload`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from switchboard.whatsapp.outbound._base import Part
from switchboard.whatsapp.outbound._limits import at_most
from switchboard.whatsapp.outbound.interactive._parts import (
    Body,
    Footer,
    Header,
    InteractiveMessage,
    Label,
)


class CallButton(Part):
    """Without a text it says "Call now", without a time it works for a week."""

    display_text: Label | None = None
    ttl_minutes: Annotated[int, Field(ge=1, le=43_200)] | None = None
    payload: Annotated[str, at_most(512)] | None = None


class CallAction(Part):
    """The one button."""

    name: Literal["voice_call"] = "voice_call"
    parameters: CallButton | None = None


class VoiceCall(Part):
    """Cloud API Calling, WhatsApp call button messages."""

    type: Literal["voice_call"] = "voice_call"
    header: Header | None = None
    body: Body
    footer: Footer | None = None
    action: CallAction


class VoiceCallMessage(InteractiveMessage):
    """A text with a button that calls."""

    interactive: VoiceCall


MODEL = VoiceCallMessage
