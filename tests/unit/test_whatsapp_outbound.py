"""What we send: whole bodies against the payload files, and every limit before a byte leaves.

The table of bodies must name every file of tests/payloads/outbound, and no other.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from switchboard.kernel.errors import SwitchboardError
from switchboard.whatsapp import outbound
from switchboard.whatsapp.outbound import (
    Context,
    InvalidMessage,
    Message,
    UncheckedMessage,
    read,
    request_body,
)
from switchboard.whatsapp.outbound._media import Captioned, Media
from switchboard.whatsapp.outbound.audio import Audio, AudioMessage
from switchboard.whatsapp.outbound.contacts import (
    Address,
    Contact,
    ContactsMessage,
    Email,
    Name,
    Organization,
    Phone,
    Url,
)
from switchboard.whatsapp.outbound.document import Document, DocumentMessage
from switchboard.whatsapp.outbound.image import ImageMessage
from switchboard.whatsapp.outbound.location import Location, LocationMessage
from switchboard.whatsapp.outbound.reaction import Reaction, ReactionMessage
from switchboard.whatsapp.outbound.request import TYPES, model_of
from switchboard.whatsapp.outbound.sticker import StickerMessage
from switchboard.whatsapp.outbound.text import Text, TextMessage
from switchboard.whatsapp.outbound.video import VideoMessage
from tests.interactive_messages import MESSAGES
from tests.template_messages import TEMPLATES

OUTBOUND = Path(__file__).resolve().parents[1] / "payloads" / "outbound"
KEY = "01930f0a-7a11-7c3e-9d55-0a4f6b1c2d3e.1"
PHONE = "5215550100301"
ANSWERED = Context(message_id="wamid.IN0001")
CARD = Contact(
    name=Name(
        formatted_name="Dra. Lía M. Quiroga",
        first_name="Lía",
        middle_name="M.",
        last_name="Quiroga",
        prefix="Dra.",
        suffix="PhD",
    ),
    phones=[
        Phone(phone="+52 1 55 5010 0399", type="WORK", wa_id="5215550100399"),
        Phone(phone="+52 55 5010 0398", type="HOME"),
    ],
    emails=[Email(email="lia@taller.example", type="WORK")],
    addresses=[
        Address(
            street="Calle de los Alfareros 9",
            city="Puebla",
            state="PUE",
            zip="72000",
            country="México",
            country_code="MX",
            type="WORK",
        )
    ],
    urls=[Url(url="https://taller.example", type="WORK")],
    org=Organization(company="Taller Añil", department="Esmaltes", title="Maestra"),
    birthday="1985-04-09",
)
SHORT_CARD = Contact(
    name=Name(formatted_name="Beto", first_name="Beto"), phones=[Phone(phone="+5215550100397")]
)

CASES: dict[str, tuple[Message, str, str | None]] = {
    "text": (TextMessage(text=Text(body="Hola, sí: hasta las 20 h. 🙂")), PHONE, KEY),
    "text_with_preview": (
        TextMessage(text=Text(body="https://taller.example/tazas", preview_url=True)),
        f"+{PHONE}",
        None,
    ),
    "text_without_preview": (
        TextMessage(text=Text(body="sin vista previa", preview_url=False)),
        PHONE,
        None,
    ),
    "text_reply": (TextMessage(text=Text(body="Claro."), context=ANSWERED), PHONE, KEY),
    "text_to_user_id": (TextMessage(text=Text(body="Hola")), "MX.8800130000000002", KEY),
    "text_for_known_identity": (
        TextMessage(text=Text(body="Su saldo"), recipient_identity_key_hash="Zk9="),
        PHONE,
        KEY,
    ),
    "image": (
        ImageMessage(image=Captioned(id="770100000000901", caption="La taza azul")),
        PHONE,
        KEY,
    ),
    "image_link_reply": (
        ImageMessage(image=Captioned(link="https://img.example/t/9.jpg?v=2"), context=ANSWERED),
        PHONE,
        KEY,
    ),
    "reaction": (
        ReactionMessage(reaction=Reaction(message_id="wamid.IN0001", emoji="👩🏽‍🍳")),
        PHONE,
        KEY,
    ),
    "reaction_removed": (
        ReactionMessage(reaction=Reaction(message_id="wamid.IN0001", emoji="")),
        PHONE,
        KEY,
    ),
    "video": (
        VideoMessage(video=Captioned(id="770100000000902", caption="Así se esmalta una taza")),
        PHONE,
        KEY,
    ),
    "video_link_reply": (
        VideoMessage(video=Captioned(link="https://img.example/t/torno.mp4"), context=ANSWERED),
        PHONE,
        KEY,
    ),
    "audio": (AudioMessage(audio=Audio(id="770100000000903")), PHONE, KEY),
    "audio_voice_note": (
        AudioMessage(audio=Audio(link="https://img.example/t/saludo.ogg", voice=True)),
        PHONE,
        KEY,
    ),
    "document": (
        DocumentMessage(
            document=Document(
                id="770100000000904",
                caption="Su factura de octubre",
                filename="factura-añil-10.pdf",
            )
        ),
        PHONE,
        KEY,
    ),
    "sticker": (StickerMessage(sticker=Media(id="770100000000905")), PHONE, KEY),
    "sticker_link_reply": (
        StickerMessage(sticker=Media(link="https://img.example/t/gracias.webp"), context=ANSWERED),
        PHONE,
        KEY,
    ),
    "location": (
        LocationMessage(
            location=Location(
                latitude="19.432608",
                longitude="-99.133209",
                name="Taller Añil",
                address="Calle de los Alfareros 9",
            )
        ),
        PHONE,
        KEY,
    ),
    "location_reply": (
        LocationMessage(location=Location(latitude="0", longitude="-0.000012"), context=ANSWERED),
        PHONE,
        KEY,
    ),
    "contacts": (ContactsMessage(contacts=[CARD, SHORT_CARD]), PHONE, KEY),
    "contacts_reply": (
        ContactsMessage(
            contacts=[Contact(name=Name(formatted_name="Beto Ruiz", last_name="Ruiz"))],
            context=ANSWERED,
        ),
        PHONE,
        KEY,
    ),
    **{name: (message, PHONE, KEY) for name, message in (MESSAGES | TEMPLATES).items()},
    "interactive_kind_of_tomorrow": (
        UncheckedMessage(
            "interactive.seance",
            {
                "type": "interactive",
                "interactive": {
                    "type": "seance",
                    "body": {"text": "¿Está usted ahí?"},
                    "action": {"name": "knock", "parameters": {"times": 3}},
                },
            },
        ),
        PHONE,
        KEY,
    ),
    "type_of_tomorrow": (
        UncheckedMessage("hologram", {"type": "hologram", "hologram": {"id": "7", "depth": 3}}),
        PHONE,
        KEY,
    ),
}
CARD_NAME = "message.contacts.0.name.formatted_name"
FULL = {"formatted_name": "Beto", "first_name": "Beto"}
SET_BY_US = {"messaging_product", "recipient_type", "to", "recipient", "biz_opaque_callback_data"}


def body_of(name: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((OUTBOUND / f"{name}.json").read_bytes())
    return body


def asked_for(name: str) -> dict[str, Any]:
    """Return what a caller would send to get the body of `name`."""
    return {key: part for key, part in body_of(name).items() if key not in SET_BY_US}


def fault(message: Any) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as caught:
        read(message)
    return caught.value


def text(body: Any, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": {"body": body, **more}}


def test_every_payload_file_has_its_line_and_every_line_its_file() -> None:
    assert sorted(CASES) == sorted(path.stem for path in OUTBOUND.glob("*.json"))


@pytest.mark.parametrize("name", CASES)
def test_the_body_is_metas_to_the_last_key(name: str) -> None:
    assert request_body(*CASES[name]) == body_of(name)


@pytest.mark.parametrize("name", CASES)
def test_a_caller_asks_with_metas_own_object(name: str) -> None:
    message, to, data = CASES[name]
    asked = read(asked_for(name))
    assert asked == message
    assert request_body(asked, to, data) == body_of(name)
    assert request_body(asked_for(name), to, data) == body_of(name)


def test_every_model_is_found_by_its_word_and_shown_by_a_file() -> None:
    folder = Path(outbound.__file__).parent
    kinds = [path.stem for path in (folder / "interactive").glob("[a-z]*.py")]
    models = {model_of(word) for word in (*TYPES, *(f"interactive.{kind}" for kind in kinds))}
    assert None not in models
    assert {type(message) for message, _, _ in CASES.values()} == {*models, UncheckedMessage}
    beside = {path.stem for path in folder.glob("[a-z]*")}
    assert beside == {*TYPES, "interactive", "request", "unchecked"}


@pytest.mark.parametrize("name", CASES)
def test_what_is_known_passes_without_a_warning_and_what_came_later_with(name: str) -> None:
    checked = read(asked_for(name))
    if isinstance(checked, UncheckedMessage):
        assert checked.warnings == (
            f"messages of type {checked.word} are passed to Meta unchecked",
        )
    else:
        assert checked.warnings == ()


def test_every_type_but_a_reaction_may_answer_a_message() -> None:
    for name in CASES:
        message = {**asked_for(name), "context": {"message_id": "wamid.IN0001"}}
        if message["type"] == "reaction":
            assert fault(message).field == "message.context"
        else:
            assert read(message).body()["context"] == {"message_id": "wamid.IN0001"}


def test_a_message_is_frozen() -> None:
    message = TextMessage(text=Text(body="hola"))
    with pytest.raises(ValidationError):
        message.text.body = "otra"  # type: ignore[misc]


def test_a_body_at_the_limit_passes_and_one_more_character_does_not() -> None:
    assert read(text("é" * 4096)).body() == text("é" * 4096)
    error = fault(text("é" * 4097))
    assert error.field == "message.text.body"
    assert error.detail == "message.text.body has 4097 characters, the limit is 4096"
    assert error.extra["errors"] == [
        {"field": error.field, "detail": error.detail, "limit": 4096, "length": 4097}
    ]


def test_a_caption_has_its_own_limit() -> None:
    image = {"type": "image", "image": {"id": "7", "caption": "c" * 1025}}
    assert fault(image).detail == "message.image.caption has 1025 characters, the limit is 1024"
    image["image"] = {"id": "7", "caption": "c" * 1024}
    assert read(image).body() == image


def test_a_fault_is_unprocessable_and_one_of_our_errors() -> None:
    error = fault(text(""))
    assert isinstance(error, SwitchboardError)
    assert error.status == 422


def test_no_error_repeats_what_the_person_wrote() -> None:
    secret = "mi-clave-" * 600
    for message in (
        text(secret),
        text([secret]),
        {"type": "image", "image": {"link": secret}},
        {"type": "reaction", "reaction": {"message_id": "wamid.IN0001", "emoji": secret}},
    ):
        error = fault(message)
        assert "mi-clave" not in f"{error} {error.detail} {error.field} {error.extra}"


def test_all_faults_of_a_message_are_told_at_once() -> None:
    error = fault({"type": "reaction", "reaction": {"emoji": "e" * 65}, "context": {}})
    assert {one["field"] for one in error.extra["errors"]} == {
        "message.reaction.message_id",
        "message.reaction.emoji",
        "message.context",
    }


@pytest.mark.parametrize(
    ("message", "field", "detail"),
    [
        (None, "message", "message is not an object"),
        ([], "message", "message is not an object"),
        ({}, "message.type", "message.type is missing or no type of Meta's"),
        ({"type": 7}, "message.type", "message.type is missing or no type of Meta's"),
        ({"type": "Text!"}, "message.type", "message.type is missing or no type of Meta's"),
        ({"type": "text"}, "message.text", "message.text is missing"),
        ({"type": "hologram"}, "message.hologram", "message.hologram is missing"),
        (text(None), "message.text.body", None),
        (text(7), "message.text.body", None),
        (text("x", preview_url="yes"), "message.text.preview_url", None),
        (text(""), "message.text.body", "message.text.body is empty"),
        (
            text("x", boby="y"),
            "message.text.boby",
            "message.text.boby is unknown to messages of type text",
        ),
        ({**text("x"), "to": PHONE}, "message.to", "message.to is set by Switchboard"),
        (
            {**text("x"), "biz_opaque_callback_data": "mine"},
            "message.biz_opaque_callback_data",
            "message.biz_opaque_callback_data is set by Switchboard",
        ),
        ({**text("x"), "context": {}}, "message.context.message_id", None),
        ({**text("x"), "context": {"message_id": ""}}, "message.context.message_id", None),
        (
            {"type": "image", "image": {}},
            "message.image",
            "message.image needs exactly one of id and link",
        ),
        (
            {"type": "image", "image": {"id": "7", "link": "https://img.example/9.jpg"}},
            "message.image",
            "message.image needs exactly one of id and link",
        ),
        (
            {"type": "image", "image": {"link": "ftp://img.example/9.jpg"}},
            "message.image.link",
            "message.image.link is no http or https address",
        ),
        ({"type": "image", "image": {"link": "https://"}}, "message.image.link", None),
        ({"type": "image", "image": {"link": "https://[::1"}}, "message.image.link", None),
        ({"type": "image", "image": {"link": "https://a.example/\n"}}, "message.image.link", None),
        (
            {"type": "reaction", "reaction": {"message_id": "w", "emoji": "👍"}, "context": {}},
            "message.context",
            "message.context is unknown to messages of type reaction",
        ),
        (
            {"type": "audio", "audio": {"id": "7", "caption": "x"}},
            "message.audio.caption",
            "message.audio.caption is unknown to messages of type audio",
        ),
        ({"type": "sticker", "sticker": {"link": "x"}}, "message.sticker.link", None),
        (
            {"type": "document", "document": {"id": "7", "filename": ""}},
            "message.document.filename",
            "message.document.filename is empty",
        ),
        *[
            (
                {"type": "location", "location": {"latitude": wrong, "longitude": "0"}},
                "message.location.latitude",
                "message.location.latitude is no number from -90 to 90",
            )
            for wrong in ("", "90.1", 91, "north", "1e1", "NaN", "1,5", "１")
        ],
        (
            {"type": "location", "location": {"latitude": 0, "longitude": -180.5}},
            "message.location.longitude",
            "message.location.longitude is no number from -180 to 180",
        ),
        ({"type": "location", "location": {"latitude": 0}}, "message.location.longitude", None),
        ({"type": "contacts", "contacts": {}}, "message.contacts", None),
        (
            {"type": "contacts", "contacts": []},
            "message.contacts",
            "message.contacts has 0 items, at least 1 must be there",
        ),
        ({"type": "contacts", "contacts": [{"name": {}}]}, CARD_NAME, f"{CARD_NAME} is missing"),
        (
            {"type": "contacts", "contacts": [{"name": {"formatted_name": ""}}]},
            CARD_NAME,
            f"{CARD_NAME} is empty",
        ),
        (
            {"type": "contacts", "contacts": [{"name": {**FULL}, "birthday": "9.4.1985"}]},
            "message.contacts.0.birthday",
            None,
        ),
        ({"type": "text", "text": "x"}, "message.text", "message.text is no object"),
        (text("nul \0"), "message", "message holds \\u0000, which cannot be stored"),
        (text("half \ud83d"), "message", "message holds a lone surrogate, which cannot be stored"),
    ],
)
def test_a_message_beyond_metas_rules_names_its_field(
    message: Any, field: str, detail: str | None
) -> None:
    error = fault(message)
    assert error.field == field
    if detail is not None:
        assert error.detail == detail


def test_degrees_given_as_numbers_are_sent_as_the_text_that_meta_documents() -> None:
    place = {"latitude": 1e-05, "longitude": -99}
    checked = read({"type": "location", "location": place})
    assert checked.body()["location"] == {"latitude": "0.00001", "longitude": "-99"}


def cards(count: int) -> dict[str, Any]:
    return {"type": "contacts", "contacts": [{"name": FULL}] * count}


def test_between_the_numbers_of_cards_that_metas_sources_name_a_message_goes_out_warned() -> None:
    assert read(cards(5)).warnings == ()
    (warning,) = read(cards(6)).warnings
    assert warning == "message.contacts has 6 items, and the strictest limit known is 5"
    assert len(read(cards(257)).warnings) == 1
    error = fault(cards(258))
    assert error.detail == "message.contacts has 258 items, the limit is 257"
    assert error.extra["errors"][0] | {"limit": 257, "length": 258} == error.extra["errors"][0]


def test_a_card_with_one_name_alone_goes_out_warned() -> None:
    (warning,) = read(
        {"type": "contacts", "contacts": [{"name": {"formatted_name": "B"}}]}
    ).warnings
    assert warning.startswith("message.contacts.0.name has its formatted_name alone")


def test_our_key_is_held_to_metas_limit() -> None:
    message = TextMessage(text=Text(body="hola"))
    assert request_body(message, PHONE, "k" * 512)["biz_opaque_callback_data"] == "k" * 512
    with pytest.raises(InvalidMessage, match="513 characters, the limit is 512"):
        request_body(message, PHONE, "k" * 513)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet=st.characters(), max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    JSON
    | st.fixed_dictionaries(
        {"type": st.sampled_from([*TYPES, "interactive", "hologram", "Ü", ""])},
        optional={
            "text": st.fixed_dictionaries({"body": JSON}) | JSON,
            "image": st.dictionaries(st.sampled_from(["id", "link", "caption"]), JSON) | JSON,
            "reaction": st.dictionaries(st.sampled_from(["message_id", "emoji"]), JSON) | JSON,
            "video": JSON,
            "context": JSON,
        },
    )
)
def test_any_json_is_a_message_or_is_refused_with_its_field(message: Any) -> None:
    try:
        checked = read(message)
    except InvalidMessage as refusal:
        field = refusal.field or ""
    else:
        assert checked.body().keys() <= message.keys()
        field = "message"
    assert field.startswith("message")


def paths_in(node: Any) -> list[list[Any]]:
    """Return the path of every member of `node`, however deep."""
    if not isinstance(node, dict | list):
        return []
    members = node.items() if isinstance(node, dict) else enumerate(node)
    return [[key, *rest] for key, part in members for rest in [[], *paths_in(part)]]


@settings(deadline=None, max_examples=400)
@given(
    name=st.sampled_from(sorted(CASES)),
    where=st.integers(0, 10_000),
    wrong=JSON | st.sampled_from(["mi-clave", "mi-clave-" * 600, ["mi-clave"], {"x": "mi-clave"}]),
    key=st.sampled_from(["text", "type", "id", "más"]) | st.none(),
)
def test_a_message_with_anything_anywhere_is_sent_as_it_is_or_refused_with_its_field(
    name: str, where: int, wrong: Any, key: str | None
) -> None:
    message = asked_for(name)
    paths = paths_in(message)
    *inside, last = paths[where % len(paths)]
    node = message
    for part in inside:
        node = node[part]
    if key is not None and isinstance(node[last], dict):
        node[last][key] = wrong
    else:
        node[last] = wrong
    try:
        checked = read(message)
    except InvalidMessage as refusal:
        fields = [refusal.field, *(one["field"] for one in refusal.extra.get("errors", ()))]
        # What a person wrote belongs into no error and no log.
        assert "mi-clave" not in f"{refusal} {refusal.detail} {refusal.extra}"  # noqa: PT017
    else:
        fields = ["message"]
        assert read(checked.body()).body() == checked.body()
    assert all(str(field).startswith("message") for field in fields)
