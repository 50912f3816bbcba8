"""What a person can do on the phone, as the test API and the page say it.

    {"type": "text", "text": "hola", "reply_to"?: <message id>}
    {"type": "button", "button_id": "ok", "reply_to"?: <id of the message with the buttons>}
                                       of a template: its payload, without one its label
    {"type": "list", "row_id": "r1", "reply_to"?: <id of the message with the list>}
    {"type": "location", "latitude": 19.4, "longitude": -99.1, "name"?, "address"?, "reply_to"?}
    {"type": "reaction", "message_id": <message id>, "emoji": "👍"}       an empty emoji removes it
    {"type": "image", "data": <base64>, "mime_type": "image/png", "caption"?, "reply_to"?}
    {"type": "image", "media_id": <id stored before>, "caption"?, "reply_to"?}
    {"type": "call_permission", "response": "accept", "is_permanent"?: true, "reply_to"?}
    {"type": "contact", "phone"?, "reply_to"?}    shares the person's number, as was asked for
    {"type": "flow", "answers": {…}, "reply_to"?: <message with a Flow>}    the form is sent
    {"type": "flow", "answers": {"city": "Pune"}, "saved_address_id"?, "reply_to"?: <message that
        asks for an address>}
    {"type": "order", "items": [{"product_retailer_id": "sku-1", "quantity": 2}], "text"?,
        "reply_to"?: <message with products or a catalogue>}
    {"type": "inquiry", "product_retailer_id": "sku-1", "text": "still there?", "reply_to"?}
    {"type": "raw", "as": "sticker", "content": {…}, "reply_to"?}   anything else Meta may send

Each also carries "phone_number_id": the business number it goes to.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from local.simulator.addresses import answered, asks_address
from local.simulator.calls import PERMISSION_SECONDS
from local.simulator.config import BusinessNumber
from local.simulator.exchange import Exchange
from local.simulator.flow_control import flow_of
from local.simulator.media import Media
from local.simulator.orders import AskAboutProduct, NotForSale, PlaceOrder, shop
from local.simulator.people import Person
from local.simulator.phone import Message
from local.simulator.template_view import taps

Json = dict[str, Any]


class Impossible(ValueError):
    """The gesture has nothing to act on: no such message, button, row or picture."""


class _Gesture(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    phone_number_id: str
    reply_to: str | None = None


class WriteText(_Gesture):
    """Type a message."""

    type: Literal["text"]
    text: str = Field(min_length=1, max_length=65_536)


class TapButton(_Gesture):
    """Tap a reply button; without reply_to, of the newest message that has it."""

    type: Literal["button"]
    button_id: str


class ChooseRow(_Gesture):
    """Choose from a list; without reply_to, of the newest message that has the row."""

    type: Literal["list"]
    row_id: str


class ShareLocation(_Gesture):
    """Share a place, degrees."""

    type: Literal["location"]
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    name: str | None = None
    address: str | None = None


class React(_Gesture):
    """React to a bubble; an empty emoji takes the reaction back."""

    type: Literal["reaction"]
    message_id: str
    emoji: str = ""


class SendImage(_Gesture):
    """Send a picture, given here or stored before."""

    type: Literal["image"]
    data: str | None = None
    media_id: str | None = None
    mime_type: str = "image/jpeg"
    caption: str | None = None


class AnswerCallRequest(_Gesture):
    """Allow or refuse calls; without reply_to, the newest request."""

    type: Literal["call_permission"]
    response: Literal["accept", "reject"]
    is_permanent: bool = False


class ShareContact(_Gesture):
    """Share one's own number; without reply_to, as the newest request asks."""

    type: Literal["contact"]
    phone: str | None = None


class FillFlow(_Gesture):
    """Send a Flow's form, or an address; without reply_to, of the newest message with a form."""

    type: Literal["flow"]
    answers: Json = Field(default_factory=dict)
    saved_address_id: str | None = None


class SendRaw(_Gesture):
    """Send a message of any type with Meta's object for it."""

    type: Literal["raw"]
    word: str = Field(alias="as")
    content: Json


_Plain = (
    WriteText
    | TapButton
    | ChooseRow
    | ShareLocation
    | React
    | SendImage
    | AnswerCallRequest
    | ShareContact
    | FillFlow
    | SendRaw
)
Gesture = Annotated[_Plain | PlaceOrder | AskAboutProduct, Field(discriminator="type")]
GESTURE: TypeAdapter[Gesture] = TypeAdapter(Gesture)


def perform(
    exchange: Exchange, person: Person, number: BusinessNumber, gesture: Gesture
) -> Message:
    """Do it; the message's webhook leaves. Raises Impossible."""
    if not isinstance(gesture, PlaceOrder | AskAboutProduct):
        return _write(exchange, person, number, gesture)
    try:
        return shop(exchange, person, number, gesture)
    except NotForSale as error:
        raise Impossible(str(error)) from None


def _write(exchange: Exchange, person: Person, number: BusinessNumber, gesture: _Plain) -> Message:
    kind: str
    content: Json
    quoted_id = gesture.reply_to
    match gesture:
        case WriteText():
            kind, content = "text", {"body": gesture.text}
        case TapButton():
            holder, reply = _find_reply(exchange, person, number, gesture)
            quoted_id = holder.id
            if holder.type == "template":
                kind, content = "button", {"payload": reply["id"], "text": reply["title"]}
            else:
                kind, content = "interactive", {"type": "button_reply", "button_reply": reply}
        case ChooseRow():
            holder, reply = _find_reply(exchange, person, number, gesture)
            quoted_id = holder.id
            kind, content = "interactive", {"type": "list_reply", "list_reply": reply}
        case ShareLocation():
            kind = "location"
            content = gesture.model_dump(
                include={"latitude", "longitude", "name", "address"}, exclude_none=True
            )
        case React():
            # A reaction names its bubble itself; Meta sends no context with it.
            quoted_id = None
            kind = "reaction"
            content = {"message_id": gesture.message_id, "emoji": gesture.emoji}
        case SendImage():
            media = _picture(exchange, number, gesture)
            kind = "image"
            content = {"id": media.id, "mime_type": media.mime_type, "sha256": media.sha256}
            content |= {"caption": gesture.caption} if gesture.caption else {}
        case AnswerCallRequest():
            quoted_id = _asked(exchange, person, number, gesture, "call_permission_request").id
            kind = "interactive"
            content = {
                "type": "call_permission_reply",
                "call_permission_reply": _permission(gesture, exchange.clock()),
            }
        case ShareContact():
            quoted_id = _asked(exchange, person, number, gesture, "request_contact_info").id
            kind, content = "contacts", {"items": [_own_card(person, gesture)]}
        case FillFlow():
            holder, content = _fill(exchange, person, number, gesture)
            quoted_id, kind = holder.id, "interactive"
        case SendRaw():
            kind, content = gesture.word, gesture.content
    return exchange.write(person, number, kind=kind, content=content, quoted_id=quoted_id)


def _permission(gesture: AnswerCallRequest, now: float) -> Json:
    """Meta's object; only a temporary permission ends."""
    answer: Json = {"response": gesture.response, "response_source": "user_action"}
    if gesture.response == "accept":
        answer["is_permanent"] = gesture.is_permanent
        if not gesture.is_permanent:
            answer["expiration_timestamp"] = str(int(now) + PERMISSION_SECONDS)
    return answer


def _filled(token: str, answers: Json) -> Json:
    """Meta's object for a form: the answers as JSON in a string, the Flow's token among them."""
    reply = {"name": "flow", "body": "Sent"}
    reply["response_json"] = json.dumps({"flow_token": token, **answers})
    return {"type": "nfm_reply", "nfm_reply": reply}


def _fill(
    exchange: Exchange, person: Person, number: BusinessNumber, gesture: FillFlow
) -> tuple[Message, Json]:
    """The message with the form, and Meta's object for its answer."""
    for message in reversed(exchange.phone.chat((person.id, number.phone_number_id))):
        if gesture.reply_to not in (None, message.id):
            continue
        if asks_address(message):
            try:
                return message, answered(message, gesture.answers, gesture.saved_address_id)
            except ValueError as error:
                raise Impossible(str(error)) from None
        asked = flow_of(message)
        if asked is not None:
            return message, _filled(str(asked.get("flow_token", "unused")), gesture.answers)
    raise Impossible("no message of this chat opens a Flow or asks for an address")


def _own_card(person: Person, gesture: ShareContact) -> Json:
    """Meta's contact for a number that was asked for: the number alone."""
    phone = gesture.phone or person.phone
    if phone is None:
        raise Impossible(f"{person.name} has no number to share: give one as phone")
    shared = {"phone": phone, "type": "CELL"} | ({"wa_id": person.wa_id} if person.wa_id else {})
    return {"origin": "contact_request", "phones": [shared]}


def _asked(
    exchange: Exchange,
    person: Person,
    number: BusinessNumber,
    gesture: AnswerCallRequest | ShareContact,
    kind: str,
) -> Message:
    for message in reversed(exchange.phone.chat((person.id, number.phone_number_id))):
        asks = message.author == "business" and message.type == "interactive"
        if asks and gesture.reply_to in (None, message.id) and message.content["type"] == kind:
            return message
    raise Impossible(f"no message of this chat is a {kind}")


def options(message: Message) -> list[tuple[str, Json]]:
    """The replies a message offers, as ("button" | "list", Meta's reply object)."""
    if message.author == "business" and message.type == "template":
        return [("button", reply) for reply in taps(message.shown)]
    if message.author != "business" or message.type != "interactive":
        return []
    action = message.content.get("action") or {}
    buttons = [b.get("reply") or {} for b in action.get("buttons") or []]
    for card in action.get("cards") or []:
        quick = (card.get("action") or {}).get("buttons") or []
        buttons += [b.get("quick_reply") or {} for b in quick]
    rows = [row for section in action.get("sections") or [] for row in section.get("rows") or []]
    offered = [("button", {"id": b.get("id"), "title": b.get("title")}) for b in buttons]
    for row in rows:
        shown = {key: row[key] for key in ("id", "title", "description") if row.get(key)}
        offered.append(("list", shown))
    return offered


def _find_reply(
    exchange: Exchange, person: Person, number: BusinessNumber, gesture: TapButton | ChooseRow
) -> tuple[Message, Json]:
    wanted = gesture.button_id if isinstance(gesture, TapButton) else gesture.row_id
    for message in reversed(exchange.phone.chat((person.id, number.phone_number_id))):
        if gesture.reply_to not in (None, message.id):
            continue
        for kind, reply in options(message):
            if kind == gesture.type and reply["id"] == wanted:
                return message, reply
    raise Impossible(f"no message of this chat offers the {gesture.type} {wanted!r}")


def _picture(exchange: Exchange, number: BusinessNumber, gesture: SendImage) -> Media:
    if gesture.media_id is not None:
        media = exchange.media.get(gesture.media_id)
        if media is None:
            raise Impossible(f"no picture is stored as {gesture.media_id!r}")
        return media
    try:
        content = base64.b64decode(gesture.data or "", validate=True)
    except binascii.Error:
        raise Impossible("data is not base64") from None
    if not content:
        raise Impossible("an image needs data or media_id")
    return exchange.media.store(
        content, mime_type=gesture.mime_type, phone_number_id=number.phone_number_id
    )
