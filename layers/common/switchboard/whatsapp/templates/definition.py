"""What Meta stores of a template (Cloud API, Message templates, components), in typed parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from switchboard.whatsapp.templates._read import Json, list_in, object_in, text_in, word_in

_VARIABLE = re.compile(r"\{\{([^{}]+)\}\}")

_KNOWN = frozenset(
    {
        "header",
        "body",
        "footer",
        "buttons",
        "carousel",
        "limited_time_offer",
        "call_permission_request",
    }
)
"""Components that are known here; the last has neither words nor variables."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text with variables. `variables` has each once, in the order of positional parameters."""

    text: str
    variables: tuple[str, ...] = ()
    examples: Mapping[str, str] | None = None

    def filled(self, values: Mapping[str, str]) -> str:
        """Return the text with values in place of variables; one without a value stays."""
        return _VARIABLE.sub(lambda found: values.get(found[1].strip(), found[0]), self.text)


@dataclass(frozen=True, slots=True)
class Header:
    """`format` is Meta's word in small letters; `text` is set for `text`, `example` for files."""

    format: str
    text: Text | None = None
    example: str | None = None


@dataclass(frozen=True, slots=True)
class Button:
    """`type` is Meta's word in small letters; `url` may have a variable at its end."""

    type: str
    label: str | None = None
    url: Text | None = None
    phone_number: str | None = None
    example: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """A limited-time offer: its words, and whether a message must say when it ends."""

    text: str | None
    expires: bool


@dataclass(frozen=True, slots=True)
class Parts:
    """A template, or one card of it. `unknown` are the types of components nobody knows here."""

    header: Header | None = None
    body: Text | None = None
    footer: str | None = None
    buttons: tuple[Button, ...] = ()
    offer: Offer | None = None
    cards: tuple[Parts, ...] | None = None
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One template in one language.

    `components` is Meta's array as `GET /{waba}/message_templates` returns it; `parameter_format`
    is NAMED or POSITIONAL, None where it was not told.
    """

    name: str
    language: str
    components: Any
    category: str | None = None
    parameter_format: str | None = None

    @classmethod
    def of(cls, told: Any) -> Definition:
        """Return the definition in Meta's object of a template."""
        told = object_in(told)
        return cls(
            name=text_in(told.get("name")) or "",
            language=text_in(told.get("language")) or "",
            components=told.get("components"),
            category=text_in(told.get("category")),
            parameter_format=text_in(told.get("parameter_format")),
        )

    @property
    def is_readable(self) -> bool:
        """Whether there is anything to read."""
        return any(object_in(one) for one in list_in(self.components))

    @property
    def is_authentication(self) -> bool:
        """Whether it is a one-time password."""
        return word_in(self.category) == "authentication"

    @property
    def parts(self) -> Parts:
        """The definition with types; what is odd is absent."""
        return _parts(self.components, _CODE_READERS if self.is_authentication else _READERS)

    @property
    def is_named(self) -> bool:
        """Whether parameters have names."""
        if word_in(self.parameter_format) in ("named", "positional"):
            return word_in(self.parameter_format) == "named"
        return any(
            not name.isdigit()
            for part in (self.parts, *(self.parts.cards or ()))
            for text in (part.header.text if part.header else None, part.body)
            if text is not None
            for name in text.variables
        )


def _parts(components: Any, readers: Mapping[str, Callable[[Json], Any]]) -> Parts:
    found: dict[str, Any] = {}
    unknown = []
    for one in map(object_in, list_in(components)):
        kind = word_in(one.get("type"))
        if kind not in _KNOWN:
            unknown.append(kind or "?")
            continue
        reader = readers.get(kind)
        if reader is not None and kind not in found:
            found[kind] = reader(one)
    return Parts(
        header=found.get("header"),
        body=found.get("body"),
        footer=found.get("footer"),
        buttons=found.get("buttons", ()),
        offer=found.get("limited_time_offer"),
        cards=found.get("carousel"),
        unknown=tuple(unknown),
    )


def _header(one: Json) -> Header:
    example = object_in(one.get("example"))
    kind = word_in(one.get("format")) or "text"
    if kind != "text":
        return Header(kind, example=_first(example.get("header_handle")))
    return Header(kind, text=_text(one.get("text"), example, "header_text"))


def _body(one: Json) -> Text | None:
    return _text(one.get("text"), object_in(one.get("example")), "body_text")


def _code_body(one: Json) -> Text | None:
    """Return Meta's words for a code: a template just made does not tell them."""
    if text_in(one.get("text")) is not None:
        return _body(one)
    warning = " For your security, do not share this code."
    told = warning if one.get("add_security_recommendation") is True else ""
    return Text(f"{{{{1}}}} is your verification code.{told}", ("1",))


def _footer(one: Json) -> str | None:
    return text_in(one.get("text"))


def _code_footer(one: Json) -> str | None:
    minutes = one.get("code_expiration_minutes")
    if _footer(one) is None and isinstance(minutes, int):
        return f"This code expires in {minutes} minutes."
    return _footer(one)


def _buttons(one: Json) -> tuple[Button, ...]:
    return tuple(_button(object_in(button)) for button in list_in(one.get("buttons")))


def _button(one: Json) -> Button:
    url = text_in(one.get("url"))
    example = one.get("example")
    return Button(
        type=word_in(one.get("type")),
        label=text_in(one.get("text")),
        url=None if url is None else Text(url, _variables(url)),
        phone_number=text_in(one.get("phone_number")),
        example=text_in(example) or _first(example),
    )


def _offer(one: Json) -> Offer:
    told = object_in(one.get("limited_time_offer"))
    return Offer(text_in(told.get("text")), told.get("has_expiration") is True)


def _cards(one: Json) -> tuple[Parts, ...]:
    cards = map(object_in, list_in(one.get("cards")))
    return tuple(_parts(card.get("components"), _CARD_READERS) for card in cards)


_CARD_READERS: dict[str, Callable[[Json], Any]] = {
    "header": _header,
    "body": _body,
    "buttons": _buttons,
}
_READERS = _CARD_READERS | {"footer": _footer, "limited_time_offer": _offer, "carousel": _cards}
_CODE_READERS = _READERS | {"body": _code_body, "footer": _code_footer}


def _text(value: Any, example: Json, key: str) -> Text | None:
    text = text_in(value)
    if text is None:
        return None
    variables = _variables(text)
    named = (object_in(one) for one in list_in(example.get(f"{key}_named_params")))
    examples = {
        str(one["param_name"]): str(one["example"])
        for one in named
        if text_in(one.get("param_name")) and text_in(one.get("example"))
    }
    row = list_in(example.get(key))
    # A body's examples are a list of such lists, of which the first is the template's own.
    values = row[0] if row and isinstance(row[0], list) else row
    given = zip(variables, values, strict=False)
    ordered = {name: value for name, value in given if text_in(value) is not None}
    return Text(text, variables, ordered | examples)


def _variables(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in _VARIABLE.findall(text)))
    if all(name.isascii() and name.isdigit() and len(name) < 10 for name in names):
        return tuple(sorted(names, key=int))
    return names


def _first(value: Any) -> str | None:
    row = list_in(value)
    return text_in(row[0]) if row else None
