"""Where the values of a template's parameters come from, and the message made of them.

    {"body": {"1": "contact.name", "2": {"value": "custom.promo_code", "fallback": "HELLO"}},
     "header": {"media": "image", "link": "https://…"},
     "buttons": [{"index": 0, "value": {"text": "spring"}}]}

`contact.…` is the person, `contact.attributes.…` what is kept of them, `custom.…` what the
audience's list gives for them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from switchboard.kernel.arguments import Arguments

#: What a message's parameter may hold at most (Cloud API, template messages).
LONGEST_PARAMETER = 1024
_CONTACT = frozenset(
    (
        "name profile_name username phone_number country_code email company title locale timezone"
        " external_user_id"
    ).split()
)
_ATTRIBUTE = re.compile(r"contact\.attributes\.[^.\s][^.]{0,99}")
_CUSTOM = re.compile(r"custom\.\S.{0,99}")


class Missing(Exception):
    """A value that a recipient lacks and nothing stands in for; its text is the path."""


def _path(path: str) -> str:
    whose, _, name = path.partition(".")
    if (
        (whose == "contact" and name in _CONTACT)
        or _ATTRIBUTE.fullmatch(path)
        or _CUSTOM.fullmatch(path)
    ):
        return path
    raise ValueError("must be like contact.name, contact.attributes.plan or custom.promo_code")


Path = Annotated[str, StringConstraints(max_length=120), AfterValidator(_path)]
_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class Value(Arguments):
    """What a path names, and what stands there where it is missing."""

    value: Path
    fallback: _Text | None = None


class Words(Arguments):
    """Words that are always the same."""

    text: _Text


Source = Path | Value | Words


class Media(Arguments):
    """A file in the header, the same for everybody."""

    media: Literal["image", "video", "document"]
    link: Annotated[str, StringConstraints(pattern=r"^https?://\S{1,2000}$")] | None = None
    id: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,50}$")] | None = None
    filename: Annotated[str, StringConstraints(min_length=1, max_length=240)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Media:
        if (self.link is None) == (self.id is None):
            raise ValueError("exactly one of link and id must be given")
        if self.filename is not None and self.media != "document":
            raise ValueError("filename is a document's")
        return self


class Button(Arguments):
    """What is variable of a button: the end of its address, its payload or its code."""

    index: int = Field(ge=0, le=9, strict=True)
    type: Literal["url", "quick_reply", "copy_code"] = "url"
    value: Source


_BUTTON = {
    "url": ("text", "text"),
    "quick_reply": ("payload", "payload"),
    "copy_code": ("coupon_code", "coupon_code"),
}


class Parameters(Arguments):
    """The values of a template, by the names or the positions (from "1") of its variables."""

    body: dict[Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,60}$")], Source] = Field(
        default_factory=dict, max_length=50
    )
    header: Source | Media | None = None
    buttons: list[Button] = Field(default_factory=list, max_length=10)

    @model_validator(mode="after")
    def _in_order(self) -> Parameters:
        if self.is_positional:
            wanted = [str(place) for place in range(1, len(self.body) + 1)]
            if sorted(self.body, key=int) != wanted:
                raise ValueError(f"body must have the positions 1 to {len(self.body)}")
        return self

    @property
    def is_positional(self) -> bool:
        """Whether the body's values go by their positions."""
        return bool(self.body) and all(name.isdigit() for name in self.body)


@dataclass(frozen=True, slots=True)
class Person:
    """What values are taken from: a contact's row as JSON, and the list's texts."""

    contact: Mapping[str, Any]
    custom: Mapping[str, Any]

    @property
    def id(self) -> UUID:
        """The contact's."""
        return UUID(str(self.contact["id"]))

    def text(self, path: str) -> str | None:
        """Return what `path` names as a person reads it; None where it is missing or empty."""
        whose, _, name = path.partition(".")
        if whose == "custom":
            value = self.custom.get(name)
        elif name.startswith("attributes."):
            value = (self.contact.get("attributes") or {}).get(name.partition(".")[2])
        elif name == "name":
            value = self.contact.get("name") or self.contact.get("profile_name")
        else:
            value = self.contact.get(name)
        if value is None or isinstance(value, dict):
            return None
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, list):
            value = ", ".join(map(str, value))
        # Meta refuses line ends, tabs and rows of spaces in a parameter.
        return " ".join(str(value).split())[:LONGEST_PARAMETER] or None


class Sample:
    """A person who has everything: for checking what does not depend on anybody."""

    def text(self, path: str) -> str | None:
        """Return a value that fits everywhere."""
        return "x" if path else None


def message_of(
    parameters: Parameters, template: str, language: str, person: Person | Sample
) -> dict[str, Any]:
    """Return Meta's message object for a person. Raises Missing."""
    components: list[dict[str, Any]] = []
    if isinstance(parameters.header, Media):
        components.append({"type": "header", "parameters": [_file(parameters.header)]})
    elif parameters.header is not None:
        value = {"type": "text", "text": _words(parameters.header, person)}
        components.append({"type": "header", "parameters": [value]})
    if parameters.body:
        components.append({"type": "body", "parameters": _body(parameters, person)})
    for button in parameters.buttons:
        kind, member = _BUTTON[button.type]
        components.append(
            {
                "type": "button",
                "sub_type": button.type,
                "index": str(button.index),
                "parameters": [{"type": kind, member: _words(button.value, person)}],
            }
        )
    named: dict[str, Any] = {"name": template, "language": {"code": language}}
    if components:
        named["components"] = components
    return {"type": "template", "template": named}


def _body(parameters: Parameters, person: Person | Sample) -> list[dict[str, Any]]:
    if parameters.is_positional:
        sources = [parameters.body[str(n)] for n in range(1, len(parameters.body) + 1)]
        return [{"type": "text", "text": _words(source, person)} for source in sources]
    return [
        {"type": "text", "parameter_name": name, "text": _words(source, person)}
        for name, source in parameters.body.items()
    ]


def _file(media: Media) -> dict[str, Any]:
    file = {"link": media.link, "id": media.id, "filename": media.filename}
    return {"type": media.media, media.media: {k: v for k, v in file.items() if v is not None}}


def _words(source: Source, person: Person | Sample) -> str:
    if isinstance(source, Words):
        return source.text
    path, fallback = (source, None) if isinstance(source, str) else (source.value, source.fallback)
    told = person.text(path) or fallback
    if told is None:
        raise Missing(path)
    return told
