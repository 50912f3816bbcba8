"""What a message gives a template: values by component, each with its place in the message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from switchboard.whatsapp.templates._read import (
    Json,
    list_in,
    number_in,
    object_in,
    text_in,
    word_in,
)


@dataclass(frozen=True, slots=True)
class Values:
    """The parameters of one component; `path` is the component's place."""

    path: str
    parameters: tuple[Json, ...]

    @property
    def kind(self) -> str:
        """The type of the first parameter."""
        return word_in(self.parameters[0].get("type")) if self.parameters else ""


@dataclass(frozen=True, slots=True)
class SentButton(Values):
    """What a button is given; `index` is its place among the template's, None where it has none."""

    index: int | None
    sub_type: str


@dataclass(frozen=True, slots=True)
class Sent:
    """What a message, or one card of it, gives. `path` is the place of its components.

    `cards` is None without a carousel; `unknown` are the places of components nobody knows here.
    """

    path: str
    header: Values | None = None
    body: Values | None = None
    offer: Values | None = None
    buttons: tuple[SentButton, ...] = ()
    cards: Mapping[int, Sent] | None = None
    carousel: str | None = None
    unknown: tuple[str, ...] = ()

    def button(self, index: int) -> SentButton | None:
        """Return what the button at that place is given."""
        return next((one for one in self.buttons if one.index == index), None)


def sent_in(message: Any) -> Sent:
    """Return what a message's `template` object gives; anything odd counts as absent."""
    content = object_in(object_in(message).get("template"))
    return _sent(content.get("components"), "message.template.components")


def _sent(components: Any, path: str, *, in_card: bool = False) -> Sent:
    single: dict[str, Values] = {}
    buttons: list[SentButton] = []
    unknown: list[str] = []
    cards: dict[int, Sent] | None = None
    carousel = None
    for number, one in enumerate(list_in(components)):
        place = f"{path}.{number}"
        part = object_in(one)
        kind = word_in(part.get("type"))
        parameters = tuple(object_in(value) for value in list_in(part.get("parameters")))
        if kind == "button":
            index = number_in(part.get("index"))
            buttons.append(SentButton(place, parameters, index, word_in(part.get("sub_type"))))
        elif kind == "carousel" and not in_card and cards is None:
            carousel = f"{place}.cards"
            cards = _cards(part.get("cards"), carousel)
        elif kind in ("header", "body", "limited_time_offer") and kind not in single:
            single[kind] = Values(place, parameters)
        else:
            unknown.append(place)
    return Sent(
        path=path,
        header=single.get("header"),
        body=single.get("body"),
        offer=single.get("limited_time_offer"),
        buttons=tuple(buttons),
        cards=cards,
        carousel=carousel,
        unknown=tuple(unknown),
    )


def _cards(cards: Any, path: str) -> dict[int, Sent]:
    found: dict[int, Sent] = {}
    for number, one in enumerate(list_in(cards)):
        card = object_in(one)
        index = number_in(card.get("card_index"))
        place = number if index is None else index
        found[place] = _sent(card.get("components"), f"{path}.{number}.components", in_card=True)
    return found


def shown(parameter: Json) -> str | None:
    """Return what a parameter puts in place of a variable: Meta always shows a date's fallback."""
    match word_in(parameter.get("type")):
        case "text":
            return text_in(parameter.get("text"))
        case "currency" | "date_time" as kind:
            return text_in(object_in(parameter.get(kind)).get("fallback_value"))
        case _:
            return None


def values_of(variables: tuple[str, ...], sent: Values | None) -> dict[str, str]:
    """Return what stands for each variable: by name where parameters have names, else in order."""
    values: dict[str, str] = {}
    for number, parameter in enumerate(sent.parameters if sent else ()):
        name = text_in(parameter.get("parameter_name"))
        if name is None and number < len(variables):
            name = variables[number]
        text = shown(parameter)
        if name is not None and text is not None:
            values[name] = text
    return values
