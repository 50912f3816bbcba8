"""What Meta refuses of a template's definition, found before it is asked.

Cloud API, Message templates: components, their lengths, buttons and examples; Template fields. What
Meta alone can judge (wording, categories, too few words around variables) is left to it, and so are
kinds of components and buttons that are not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

CATEGORIES = ("AUTHENTICATION", "MARKETING", "UTILITY")
LONGEST_NAME = 512
HEADER, BODY, OFFER_BODY, CARD_BODY, FOOTER, OFFER, LABEL = 60, 1024, 600, 160, 60, 16, 25
#: Buttons of one message, and of each kind that has a limit of its own.
BUTTONS = 10
_OF_KIND = {"URL": 2, "PHONE_NUMBER": 1, "COPY_CODE": 1}
_LABELLED = frozenset({"QUICK_REPLY", "URL", "PHONE_NUMBER", "FLOW", "VOICE_CALL"})
_URL, _PHONE, _CODE = 2000, 20, 20
_FILES = frozenset({"IMAGE", "VIDEO", "DOCUMENT", "GIF"})
#: Seconds; -1 is 30 days.
_TTL = {"AUTHENTICATION": (30, 900), "UTILITY": (30, 43_200), "MARKETING": (43_200, 2_592_000)}
_CARDS = (2, 10)

_NAME = re.compile(r"[a-z0-9_]+")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8}){0,2}")
_BRACES = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_NAMED = re.compile(r"[a-z][a-z0-9_]*")
Part = Mapping[str, Any]


class Fault(NamedTuple):
    """One thing that Meta would refuse: the place, as `components.1.text`, and what is wrong."""

    field: str
    problem: str


def check_name(name: str, language: str) -> Iterator[Fault]:
    """Check how a template is called."""
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        yield Fault("name", f"must be 1 to {LONGEST_NAME} small letters, digits and underscores")
    if not _LANGUAGE.fullmatch(language):
        yield Fault("language", "must be a language like es or en_US")


def check_ttl(category: str, seconds: int) -> Iterator[Fault]:
    """Check how long Meta tries to deliver a message of a template of this category."""
    least, most = _TTL.get(category, (30, 2_592_000))
    if seconds != -1 and not least <= seconds <= most:
        yield Fault(
            "message_send_ttl_seconds",
            f"must be {least} to {most} seconds for {category}, or -1 for 30 days",
        )


def check_components(category: str, components: Sequence[Any], *, named: bool) -> Iterator[Fault]:
    """Check the components of a template of this category; `named` variables, else `{{1}}`."""
    yield from _Definition(category, named=named).components(components, "components")


class _Definition:
    def __init__(self, category: str, *, named: bool) -> None:
        self._is_code = category == "AUTHENTICATION"
        self._named = named

    def components(
        self, components: Sequence[Any], place: str, *, card: bool = False
    ) -> Iterator[Fault]:
        kinds: list[str] = []
        for index, part in enumerate(components):
            kind = _upper(part.get("type")) if isinstance(part, Mapping) else ""
            if not kind:
                yield Fault(f"{place}.{index}.type", "must say which component it is")
                continue
            if kind in kinds:
                yield Fault(f"{place}.{index}.type", f"a template has one {kind} only")
            kinds.append(kind)
        if "BODY" not in kinds and not card:
            yield Fault(place, "a template needs a component of the type BODY")
        body = CARD_BODY if card else OFFER_BODY if "LIMITED_TIME_OFFER" in kinds else BODY
        for index, part in enumerate(components):
            if isinstance(part, Mapping):
                yield from self._component(part, f"{place}.{index}", body)

    def _component(self, part: Part, place: str, body: int) -> Iterator[Fault]:
        match _upper(part.get("type")):
            case "HEADER":
                yield from self._header(part, place)
            case "BODY" if not self._is_code:
                yield from self._text(part, place, body, "body_text")
            case "FOOTER" if not self._is_code:
                yield from _plain(part, place, "text", FOOTER)
                if _BRACES.search(str(part.get("text"))):
                    yield Fault(f"{place}.text", "a footer has no variables")
            case "BUTTONS":
                yield from self._buttons(part.get("buttons"), f"{place}.buttons")
            case "LIMITED_TIME_OFFER":
                offer = part.get("limited_time_offer")
                if isinstance(offer, Mapping):
                    yield from _plain(offer, f"{place}.limited_time_offer", "text", OFFER)
            case "CAROUSEL":
                yield from self._cards(part.get("cards"), f"{place}.cards")
            case _:
                pass

    def _header(self, part: Part, place: str) -> Iterator[Fault]:
        match _upper(part.get("format")):
            case "TEXT":
                yield from self._text(part, place, HEADER, "header_text", most=1, edges=True)
            case form if form in _FILES:
                example = part.get("example")
                handles = example.get("header_handle") if isinstance(example, Mapping) else None
                if not isinstance(handles, list) or not handles or not all(handles):
                    yield Fault(f"{place}.example.header_handle", "needs the handle of a file")
            case "":
                yield Fault(f"{place}.format", "must be TEXT, IMAGE, VIDEO, DOCUMENT or LOCATION")
            case _:
                pass

    def _text(
        self,
        part: Part,
        place: str,
        longest: int,
        example: str,
        *,
        most: int | None = None,
        edges: bool = False,
    ) -> Iterator[Fault]:
        """Check a text with variables; `edges`: they may begin and end it."""
        text = part.get("text")
        yield from _plain(part, place, "text", longest)
        if not isinstance(text, str):
            return
        inside = [found.strip() for found in _BRACES.findall(text)]
        names = list(dict.fromkeys(inside))
        where = f"{place}.text"
        if self._named:
            if not all(map(_NAMED.fullmatch, names)):
                yield Fault(where, "variables are small letters, digits, underscores: {{name}}")
        elif set(names) != {str(n + 1) for n in range(len(names))}:
            yield Fault(where, "variables are counted from {{1}}, without a gap")
        if most is not None and len(names) > most:
            yield Fault(where, f"may have {most} variable at most")
        stripped = text.strip()
        if names and not edges and (stripped.startswith("{{") or stripped.endswith("}}")):
            yield Fault(where, "a variable may neither begin nor end it")
        if names:
            yield from self._example(part.get("example"), f"{place}.example", example, names)

    def _example(self, given: Any, place: str, key: str, names: Sequence[str]) -> Iterator[Fault]:
        examples = given if isinstance(given, Mapping) else {}
        if self._named:
            key += "_named_params"
            listed = examples.get(key)
            told = {
                one.get("param_name")
                for one in (listed if isinstance(listed, list) else [])
                if isinstance(one, Mapping) and one.get("example")
            }
            if missing := [name for name in names if name not in told]:
                yield Fault(f"{place}.{key}", f"lacks an example of {', '.join(missing)}")
            return
        listed = examples.get(key)
        # A body has a list of sets of examples, a header a list for its one variable.
        first = listed[0] if isinstance(listed, list) and listed else None
        values = first if isinstance(first, list) else listed
        count = len([one for one in values if one]) if isinstance(values, list) else 0
        if count != len(names):
            yield Fault(f"{place}.{key}", f"needs {len(names)} examples, one for each variable")

    def _buttons(self, buttons: Any, place: str) -> Iterator[Fault]:
        if not isinstance(buttons, list) or not buttons:
            yield Fault(place, "must be a list of buttons")
            return
        if len(buttons) > BUTTONS:
            yield Fault(place, f"there may be {BUTTONS} buttons at most, not {len(buttons)}")
        kinds = [_upper(one.get("type")) if isinstance(one, Mapping) else "" for one in buttons]
        for kind, most in _OF_KIND.items():
            if kinds.count(kind) > most:
                yield Fault(place, f"there may be {most} of the kind {kind} at most")
        replies = [index for index, kind in enumerate(kinds) if kind == "QUICK_REPLY"]
        if replies and replies[-1] - replies[0] + 1 != len(replies):
            yield Fault(place, "quick replies stand together, before or after the others")
        for index, (kind, button) in enumerate(zip(kinds, buttons, strict=True)):
            if not kind:
                yield Fault(f"{place}.{index}.type", "must say which button it is")
                continue
            yield from _button(kind, button, f"{place}.{index}")

    def _cards(self, cards: Any, place: str) -> Iterator[Fault]:
        least, most = _CARDS
        if not isinstance(cards, list) or not least <= len(cards) <= most:
            yield Fault(place, f"there must be {least} to {most} cards")
            return
        for index, card in enumerate(cards):
            parts = card.get("components") if isinstance(card, Mapping) else None
            if not isinstance(parts, list) or not parts:
                yield Fault(f"{place}.{index}.components", "must be a list of components")
            else:
                yield from self.components(parts, f"{place}.{index}.components", card=True)


def _button(kind: str, button: Part, place: str) -> Iterator[Fault]:
    if kind in _LABELLED:
        yield from _plain(button, place, "text", LABEL)
    if kind == "URL":
        yield from _plain(button, place, "url", _URL)
        variables = _BRACES.findall(str(button.get("url")))
        if variables and (len(variables) > 1 or not str(button["url"]).endswith("}}")):
            yield Fault(f"{place}.url", "may have one variable, at its end")
        if variables and not button.get("example"):
            yield Fault(f"{place}.example", "needs an example of the whole address")
    if kind == "PHONE_NUMBER":
        yield from _plain(button, place, "phone_number", _PHONE)
    if kind == "COPY_CODE":
        example = button.get("example")
        code = example[0] if isinstance(example, list) and example else example
        yield from _plain({"example": code}, place, "example", _CODE)


def _plain(part: Part, place: str, key: str, longest: int) -> Iterator[Fault]:
    text = part.get(key)
    if not isinstance(text, str) or not text.strip():
        yield Fault(f"{place}.{key}", "must be a text")
    elif len(text) > longest:
        yield Fault(f"{place}.{key}", f"must be at most {longest} characters, not {len(text)}")


def _upper(value: Any) -> str:
    return value.upper() if isinstance(value, str) else ""
