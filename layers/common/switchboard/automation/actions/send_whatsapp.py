"""Says something on WhatsApp: a template whose parameters are facts, or a text with facts in it.

A text goes out only while the person's 24-hour window is open; whether it is, and whether anything
may be said at all, the sending policy decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from switchboard.automation.actions._kind import ActionKind, Pass, Send
from switchboard.automation.actions._sources import Source, Words, words
from switchboard.automation.facts import Facts, check_path
from switchboard.kernel.arguments import Arguments
from switchboard.policy import CATEGORIES

#: What a message's parameter may hold at most (Cloud API, template messages).
LONGEST_PARAMETER = 1024
_PLACE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


_NamedSources = Annotated[
    dict[Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,60}$")], Source],
    Field(max_length=50),
]
_Sources = Annotated[list[Source], Field(max_length=50)] | _NamedSources


class Button(Arguments):
    """The variable end of a button's address."""

    index: int = Field(ge=0, le=9)
    value: Source


def _places(text: str) -> str:
    for path in _PLACE.findall(text):
        check_path(path.partition("|")[0].strip())
    return text


def _category(name: str) -> str:
    if name not in CATEGORIES:
        raise ValueError(f"must be one of {', '.join(CATEGORIES)}")
    return name


class SendWhatsapp(Arguments):
    """A template or a text, whom it goes to and from which number.

    In a text `{{contact.name}}` stands for the fact, `{{contact.name|there}}` with a fallback.
    """

    template: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,512}$")] | None = None
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}([_-][A-Za-z]{2,4})?$")] = "en"
    parameters: _Sources = Field(default_factory=list)
    header: Source | None = None
    buttons: list[Button] = Field(default_factory=list, max_length=10)
    text: (
        Annotated[str, StringConstraints(min_length=1, max_length=4096), AfterValidator(_places)]
        | None
    ) = None
    from_: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,50}$")] | None = Field(
        None, alias="from"
    )
    to: UUID | None = None
    category: Literal["utility", "marketing", "authentication"] | None = None
    notification_category: Annotated[str, AfterValidator(_category)] | None = None
    expires_in_minutes: int | None = Field(None, ge=1, le=43_200, strict=True)

    @model_validator(mode="after")
    def _one(self) -> SendWhatsapp:
        if (self.template is None) == (self.text is None):
            raise ValueError("exactly one of template and text must be given")
        if self.text is not None and (self.parameters or self.header or self.buttons):
            raise ValueError("parameters, header and buttons are a template's")
        return self


def act(config: SendWhatsapp, facts: Facts) -> Send:
    """Return the message; raises Pass where nobody gets it and where a fact is missing."""
    contact = config.to or (facts.contact and UUID(str(facts.contact["id"])))
    if not contact:
        raise Pass("no_contact")
    if config.text is not None:
        message: dict[str, Any] = {"type": "text", "text": {"body": _fill(config.text, facts)}}
    else:
        message = {"type": "template", "template": _template(config, facts)}
    minutes = config.expires_in_minutes
    return Send(
        contact_id=contact,
        message=message,
        phone_number_id=config.from_,
        category=config.category,
        notification_category=config.notification_category,
        expires_in=None if minutes is None else timedelta(minutes=minutes),
    )


def _template(config: SendWhatsapp, facts: Facts) -> dict[str, Any]:
    components: list[dict[str, Any]] = []
    if config.header is not None:
        components.append(_component("header", [config.header], facts))
    if config.parameters:
        components.append(_component("body", config.parameters, facts))
    for button in config.buttons:
        place = {"sub_type": "url", "index": str(button.index)}
        components.append({**_component("button", [button.value], facts), **place})
    template: dict[str, Any] = {"name": config.template, "language": {"code": config.language}}
    return {**template, "components": components} if components else template


def _component(
    kind: str, sources: Sequence[Source] | dict[str, Source], facts: Facts
) -> dict[str, Any]:
    if isinstance(sources, dict):
        parameters = [
            {"type": "text", "parameter_name": name, "text": _words(source, facts)}
            for name, source in sources.items()
        ]
    else:
        parameters = [{"type": "text", "text": _words(source, facts)} for source in sources]
    return {"type": kind, "parameters": parameters}


def _words(source: Source, facts: Facts) -> str:
    # Meta refuses line ends, tabs and rows of spaces in a parameter.
    told = source.text if isinstance(source, Words) else " ".join(words(source, facts).split())
    return told[:LONGEST_PARAMETER]


def _fill(text: str, facts: Facts) -> str:
    def told(place: re.Match[str]) -> str:
        path, bar, fallback = place[1].partition("|")
        value = facts.text(path.strip())
        if value is None and not bar:
            raise Pass(f"missing: {path.strip()}")
        return fallback.strip() if value is None else value

    return _PLACE.sub(told, text)[:4096]


KIND = ActionKind(name="send_whatsapp", config=SendWhatsapp, act=act)
