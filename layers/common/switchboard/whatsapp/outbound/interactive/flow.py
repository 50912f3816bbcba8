"""A button that opens a Flow; what was filled in comes back as `interactive.nfm_reply`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from switchboard.whatsapp.outbound._base import Part, Word
from switchboard.whatsapp.outbound._limits import at_most, rule
from switchboard.whatsapp.outbound.interactive._parts import (
    Body,
    Footer,
    Header,
    InteractiveMessage,
)


class FirstScreen(Part):
    """The screen to begin with (without it FIRST_ENTRY_SCREEN) and what it shows."""

    screen: Word | None = None
    data: Annotated[dict[str, Any], Field(min_length=1)] | None = None


class FlowParameters(Part):
    """Exactly one of `flow_id` and `flow_name`.

    `flow_cta` has up to 30 characters (Meta's OpenAPI file) or 20 (older pages). Without a
    `flow_token` Meta says "unused", and nothing tells whose answers come back. `mode` is published
    unless it says draft, `flow_action` navigate unless it says data_exchange, which asks the
    endpoint for the first screen.
    """

    flow_message_version: Literal["3"]
    flow_id: Word | None = None
    flow_name: Word | None = None
    flow_cta: Annotated[str, Field(min_length=1), at_most(30, strictest=20)]
    flow_token: Word | None = None
    mode: Literal["draft", "published"] | None = None
    flow_action: Literal["navigate", "data_exchange"] | None = None
    flow_action_payload: FirstScreen | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> FlowParameters:
        if (self.flow_id is None) == (self.flow_name is None):
            raise rule("needs exactly one of flow_id and flow_name")
        if self.flow_action == "data_exchange" and self.flow_action_payload is not None:
            raise rule("has a flow_action_payload, which only navigate takes")
        return self


class FlowAction(Part):
    """The one button."""

    name: Literal["flow"] = "flow"
    parameters: FlowParameters


class Flow(Part):
    """Cloud API, Interactive flow messages."""

    type: Literal["flow"] = "flow"
    header: Header | None = None
    body: Body
    footer: Footer | None = None
    action: FlowAction


class FlowMessage(InteractiveMessage):
    """A form."""

    interactive: Flow


MODEL = FlowMessage
