"""What the person will see of a template: its texts filled in, its buttons, its cards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from switchboard.whatsapp.templates import definition as stored
from switchboard.whatsapp.templates._read import Json, number_in, object_in, text_in
from switchboard.whatsapp.templates._sent import Sent, SentButton, Values, sent_in, values_of

_LONGEST = 200
_LABELS = {
    "copy_code": "Copy code",
    "otp": "Copy code",
    "catalog": "View catalog",
    "mpm": "View items",
    "spm": "View",
    "order_details": "Review and pay",
    "voice_call": "Call",
}


@dataclass(frozen=True, slots=True)
class Header:
    """`kind` is text, image, video, document, gif, location, product, or a word of tomorrow's.

    `media` is Meta's object of that kind (a file's `id` or `link`, a place, a product), None for a
    text and where nothing is known of it.
    """

    kind: str
    text: str | None = None
    media: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Button:
    """`kind` is Meta's word in small letters; what a tap does is in the member for its kind."""

    kind: str
    label: str
    url: str | None = None
    phone_number: str | None = None
    code: str | None = None
    payload: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """A limited-time offer; `expires_at_ms` in Unix milliseconds, None where it shows no end."""

    text: str | None
    expires_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """One card of a carousel."""

    header: Header | None
    body: str | None
    buttons: tuple[Button, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """A template as it looks. A variable without a value stays as it is written, `{{1}}`."""

    name: str
    header: Header | None
    body: str | None
    footer: str | None
    buttons: tuple[Button, ...]
    offer: Offer | None
    cards: tuple[Card, ...]

    @property
    def text(self) -> str:
        """One line of at most 200 characters: the body, else the header, else the name."""
        header = self.header
        headline = (header.text or f"[{header.kind}]") if header else ""
        line = " ".join((self.body or headline or self.name).split())
        return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def render(definition: stored.Definition, message: Mapping[str, Any] | None = None) -> Preview:
    """Return what `message` looks like; without one, the definition with its own examples.

    Never raises: what is missing or odd is left out.
    """
    parts = definition.parts
    sent = None if message is None else sent_in(message)
    card = _card(parts, sent)
    return Preview(
        name=definition.name,
        header=card.header,
        body=card.body,
        footer=parts.footer,
        buttons=card.buttons,
        offer=_offer(parts.offer, sent),
        cards=tuple(
            _card(one, (sent.cards or {}).get(index, Sent(sent.path)) if sent else None)
            for index, one in enumerate(parts.cards or ())
        ),
    )


def _card(parts: stored.Parts, sent: Sent | None) -> Card:
    return Card(
        header=_header(parts.header, sent),
        body=_filled(parts.body, sent.body if sent else None, sent),
        buttons=tuple(
            _button(one, sent.button(index) if sent else None, sent)
            for index, one in enumerate(parts.buttons)
        ),
    )


def _filled(text: stored.Text | None, values: Values | None, sent: Sent | None) -> str | None:
    if text is None:
        return None
    if sent is None:
        return text.filled(text.examples or {})
    return text.filled(values_of(text.variables, values))


def _header(header: stored.Header | None, sent: Sent | None) -> Header | None:
    if header is None:
        return None
    if header.format == "text":
        values = sent.header if sent else None
        return Header("text", text=_filled(header.text, values, sent))
    if sent is None:
        # Meta gives a file's example by its address; as it was made, by a handle nobody can open.
        link = header.example if header.example and header.example.startswith("https:") else None
        return Header(header.format, media={"link": link} if link else None)
    return Header(header.format, media=object_in(_first(sent.header).get(header.format)) or None)


def _button(button: stored.Button, given: SentButton | None, sent: Sent | None) -> Button:
    first = _first(given)
    url = button.url
    address = None
    code = None
    if url is not None and sent is None:
        example = button.example
        values = dict.fromkeys(url.variables, example) if example else {}
        is_whole = example is not None and example.startswith(("http://", "https://"))
        address = example if is_whole and url.variables else url.filled(values)
    elif url is not None:
        address = url.filled(values_of(url.variables, given))
    if button.type == "copy_code":
        code = button.example if sent is None else text_in(first.get("coupon_code"))
    return Button(
        kind=button.type,
        label=button.label or _LABELS.get(button.type, ""),
        url=address,
        phone_number=button.phone_number,
        code=code,
        payload=text_in(first.get("payload")) if button.type == "quick_reply" else None,
    )


def _offer(offer: stored.Offer | None, sent: Sent | None) -> Offer | None:
    if offer is None:
        return None
    told = object_in(_first(sent.offer if sent else None).get("limited_time_offer"))
    return Offer(offer.text, number_in(told.get("expiration_time_ms")))


def _first(values: Values | None) -> Json:
    return values.parameters[0] if values and values.parameters else {}
