"""Up to three buttons; a tap comes back as `interactive.button_reply`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from switchboard.whatsapp.outbound._base import Part
from switchboard.whatsapp.outbound._limits import at_most, rule
from switchboard.whatsapp.outbound.interactive._parts import (
    Body,
    Footer,
    Header,
    InteractiveMessage,
    Label,
    twice,
)


def _unpadded(word: str) -> str:
    if word != word.strip():
        raise rule("begins or ends with a space")
    return word


class ButtonReply(Part):
    """What comes back (up to 256 characters) and what is shown (up to 20)."""

    id: Annotated[str, Field(min_length=1), at_most(256), AfterValidator(_unpadded)]
    title: Label


class Button(Part):
    """One button."""

    type: Literal["reply"] = "reply"
    reply: ButtonReply


def _distinct(buttons: list[Button]) -> list[Button]:
    for name in ("id", "title"):
        if twice(getattr(button.reply, name) for button in buttons):
            raise rule(f"have one {name} twice")
    return buttons


class ButtonAction(Part):
    """One to three buttons, their ids and titles distinct."""

    buttons: Annotated[list[Button], Field(min_length=1, max_length=3), AfterValidator(_distinct)]


class Buttons(Part):
    """Cloud API, Interactive reply buttons messages."""

    type: Literal["button"] = "button"
    header: Header | None = None
    body: Body
    footer: Footer | None = None
    action: ButtonAction


class ButtonMessage(InteractiveMessage):
    """A question with buttons."""

    interactive: Buttons


MODEL = ButtonMessage
