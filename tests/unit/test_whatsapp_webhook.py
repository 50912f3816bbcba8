"""Meta's webhooks, one payload file per case: what each body parses to.

The table below must name every file of tests/payloads/inbound, and no other.
"""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, assert_never, get_args

import pytest

from switchboard.kernel.errors import NotJson
from switchboard.whatsapp.webhook import (
    Button,
    ButtonReply,
    CallPermissionReply,
    Card,
    Contacts,
    Context,
    Edit,
    Event,
    Fault,
    Item,
    ListReply,
    Location,
    Malformed,
    Media,
    Message,
    NfmReply,
    Order,
    OrderItem,
    Payload,
    PaymentMethod,
    Product,
    Reaction,
    Referral,
    RequestWelcome,
    Revoke,
    Sender,
    Status,
    System,
    Text,
    Unhandled,
    Unknown,
    Unsupported,
    context_of,
    parse,
    payloads,
    rebuild,
    referral_of,
)

ROOT = Path(__file__).resolve().parents[2]
INBOUND = ROOT / "tests" / "payloads" / "inbound"
SHA256 = "q0pWbM3m0Zc6mT0E2m0uJ2l8m4i1vJ0m5T8m3s1x2yQ="
PHONE = "5215550100301"
NUMBER = "530700000000021"
WABA = "420900000000011"
LUCIA = Sender(PHONE, "MX.8800130000000001", None, None, "Lucía Ferrán")


def media(kind: Any, number: int, mime_type: str, **more: Any) -> Media:
    rest = {"caption": None, "filename": None, "voice": False, "animated": False} | more
    return Media(kind, f"7701000000{number:05d}", mime_type, SHA256, **rest)


# What is expected of each item: a payload for a message, a word for a status, a field for what is
# unhandled, a reason for what is malformed.
Expected = Payload | tuple[type[Status | Event | Unhandled | Malformed], str]


def status(word: str) -> Expected:
    return (Status, word)


def unhandled(field: str) -> Expected:
    return (Unhandled, field)


def event(kind: str) -> Expected:
    return (Event, kind)


def malformed(reason: str) -> Expected:
    return (Malformed, reason)


CASES: dict[str, list[Expected]] = {
    "text": [Text("Hola, ¿siguen abiertos? 🙂")],
    "text_about_product": [Text("¿Queda en azul?")],
    "text_forwarded": [Text("mira esto")],
    "text_frequently_forwarded": [Text("cadena")],
    "text_from_ad": [Text("Quiero más información")],
    "text_from_post_old": [Text("info")],
    "text_in_group": [Text("hola a todos")],
    "text_old_id": [Text("id sin prefijo")],
    "text_other_spelling_of_phone": [Text("oi")],
    "text_reply": [Text("Sí, ese")],
    "text_user_id_in_from": [Text("hi")],
    "text_with_identity": [Text("nuevo teléfono")],
    "text_without_phone": [Text("sin número")],
    "image": [media("image", 13, "image/jpeg", caption="El recibo")],
    "image_failed": [Unsupported("image", None, (Fault(131052, "Media download error"),))],
    "image_failed_with_object": [
        Unsupported("image", None, (Fault(131052, "Media download error"),))
    ],
    "video": [media("video", 16, "video/mp4", caption="demo")],
    "audio_file": [media("audio", 17, "audio/mpeg")],
    "audio_voice_note": [media("audio", 18, "audio/ogg; codecs=opus", voice=True)],
    "audio_voicemail": [media("audio", 19, "audio/ogg; codecs=opus")],
    "voice_old": [media("audio", 20, "audio/ogg; codecs=opus", voice=True)],
    "document": [
        media(
            "document",
            21,
            "application/pdf",
            caption="firmado",
            filename="Año 2026 – señal.pdf",
        )
    ],
    "document_bare": [media("document", 22, "text/plain")],
    "sticker": [media("sticker", 23, "image/webp", animated=True)],
    "location": [
        Location(
            19.432608,
            -99.133209,
            "Zócalo",
            "Plaza de la Constitución",
            "https://places.example/z",
        )
    ],
    "location_answer": [Location(-34.0, 151.2, None, None, None)],
    "location_as_text": [Unknown("location", "latitude is not a number")],
    "location_out_of_range": [Unknown("location", "latitude is out of range")],
    "reaction": [Reaction("wamid.OUT0001", "👩🏽‍🍳")],
    "reaction_removed": [Reaction("wamid.OUT0001", None)],
    "reaction_removed_old": [Reaction("wamid.OUT0001", None)],
    "button": [Button("STOP-42", "No quiero más")],
    "interactive_button_reply": [ButtonReply("confirm", "Confirmar")],
    "interactive_list_reply": [ListReply("slot-9", "Mañana", "9:00 a 10:00")],
    "interactive_list_reply_without_context": [ListReply("slot-10", "Jueves", None)],
    "interactive_address_old": [
        NfmReply(
            "address_message",
            "House 7",
            '{"values":{"pin_code":"400001"}}',
            {"values": {"pin_code": "400001"}},
            None,
        )
    ],
    "interactive_call_permission_reply": [
        CallPermissionReply("accept", False, 1_790_604_800, "user_action")
    ],
    "interactive_call_permission_reply_without_type": [
        CallPermissionReply("reject", False, None, "automatic")
    ],
    "interactive_nfm_reply": [
        NfmReply(
            "flow",
            "Sent",
            '{"flow_token":"t-81","rating":"5"}',
            {"flow_token": "t-81", "rating": "5"},
            "t-81",
        )
    ],
    "interactive_nfm_reply_odd_answer": [NfmReply("flow", None, "[1, {", None, None)],
    "interactive_not_serialised": [
        Unsupported("interactive", None, ()),
        event("account_event"),
    ],
    "interactive_payment_method": [PaymentMethod("offsite_card_pay", "ord-9")],
    "contacts": [
        Contacts(
            (
                Card(
                    "Omar Quiroga",
                    ("+52 1 555 010 0400",),
                    ("5215550100400",),
                    ("omar@mail.example",),
                    "Taller Quiroga",
                    None,
                ),
                Card("Eva", (), (), (), None, None),
            )
        )
    ],
    "contacts_shared_phone": [
        Contacts((Card(None, ("+5215550100301",), (), (), None, "contact_request"),))
    ],
    "order": [Order("cat-71", "para regalo", (OrderItem("mug-blue", 2, Decimal("7.99"), "USD"),))],
    "system_identity_changed": [System("customer_identity_changed", None, None, None, "aQ==")],
    "system_number_changed": [System("user_changed_number", "5215550100302", None, None, None)],
    "system_user_id_changed": [
        System(
            "user_changed_user_id",
            "5215550100302",
            "MX.8800130000000009",
            "MX.ENT.4411",
            None,
        )
    ],
    "unsupported": [
        Unsupported("unsupported", "poll_creation", (Fault(131051, "Message type unknown"),))
    ],
    "unsupported_linked_device": [
        Unsupported("unsupported", None, (Fault(131060, "This message is currently unavailable."),))
    ],
    "unsupported_old": [Unsupported("unsupported", None, (Fault(131051, "Message type unknown"),))],
    "unknown_old": [Unsupported("unknown", None, (Fault(501, "Unknown message type"),))],
    "type_of_tomorrow": [Unknown("hologram")],
    "request_welcome": [RequestWelcome()],
    "edit": [Edit("wamid.IN0001", "text", {"body": "Hola, ¿siguen abiertos hoy?"})],
    "revoke": [Revoke("wamid.IN0001")],
    "messages_of_two_people": [Text("uno"), Text("dos")],
    "messages_and_statuses_of_two_numbers": [
        Text("a"),
        media("image", 72, "image/png"),
        status("read"),
        status("sent"),
        event("business_account"),
    ],
    "status_sent": [status("sent")],
    "status_sent_old": [status("sent")],
    "status_delivered": [status("delivered")],
    "status_read": [status("read")],
    "status_played": [status("played")],
    "status_failed": [status("failed")],
    "status_failed_old_error": [status("failed")],
    "status_deleted_old": [status("deleted")],
    "status_warning_old": [status("warning")],
    "status_other_callback_data": [status("delivered")],
    "status_of_group": [status("delivered"), status("delivered"), status("read")],
    "payment_status": [(Event, "payment_status")],
    "account_errors": [event("account_event")],
    "account_errors_several": [
        event("account_event"),
        event("account_event"),
        event("account_event"),
    ],
    "account_alerts": [event("account_event")],
    "account_alerts_old": [event("account_event")],
    "account_review_update": [event("business_account")],
    "account_settings_update": [event("number")],
    "account_update_ban": [event("business_account")],
    "account_update_fields_inside_value": [event("business_account")],
    "account_update_fields_on_entry": [event("business_account")],
    "account_update_partner_added": [event("business_account")],
    "account_update_restriction": [event("business_account")],
    "account_update_volume_tier": [event("business_account")],
    "automatic_events": [event("account_event")],
    "business_capability_update": [event("business_account")],
    "business_username_updates": [event("number")],
    "calls_connect": [(Event, "call")],
    "calls_status": [(Event, "call")],
    "calls_status_under_messages": [(Event, "call")],
    "calls_terminate": [(Event, "call")],
    "calls_transcription": [(Event, "call")],
    "flows_endpoint_availability": [event("flow")],
    "flows_endpoint_error_rate": [event("flow")],
    "flows_endpoint_latency": [event("flow")],
    "flows_status_change": [event("flow")],
    "group_lifecycle_update": [event("group")],
    "group_participants_update": [event("group")],
    "group_settings_update": [event("group")],
    "group_status_update": [event("group")],
    "history": [
        (Event, "history_chunk"),
        (Event, "phone_app_message"),
        (Event, "phone_app_message"),
    ],
    "history_declined": [(Event, "history_refusal")],
    "history_media": [(Event, "phone_app_message")],
    "message_template_components_update": [event("template")],
    "message_template_quality_update": [event("template")],
    "message_template_quality_update_under_status_field": [event("template")],
    "message_template_status_update_disabled": [event("template")],
    "message_template_status_update_paused": [event("template")],
    "message_template_status_update_rejected": [event("template")],
    "messaging_handovers": [event("account_event")],
    "partner_solutions": [event("business_account")],
    "payment_configuration_update": [event("business_account")],
    "phone_number_name_update": [event("number")],
    "phone_number_quality_update": [event("number")],
    "security": [event("account_event")],
    "smb_app_state_sync": [event("address_book"), event("address_book")],
    "message_echoes": [(Event, "phone_app_message")],
    "smb_message_echoes": [(Event, "phone_app_message"), (Event, "phone_app_message")],
    "standby": [event("account_event")],
    "template_category_update_coming": [event("template")],
    "template_category_update_done": [event("template")],
    "template_correct_category_detection": [event("template")],
    "user_id_update": [(Event, "user_id_update")],
    "user_preferences": [(Event, "user_preferences")],
    "odd_change_without_field": [Text("sin campo")],
    "odd_entry_without_changes": [malformed("changes is missing or not a list")],
    "odd_entry_without_id": [Text("sin id")],
    "odd_value_without_metadata": [malformed("metadata.phone_number_id is missing")],
    "odd_items_among_good_ones": [
        Text("bien"),
        malformed("timestamp 'ayer' is no time in Unix seconds"),
        malformed("id is missing or not a string"),
        malformed("message is not an object"),
        malformed("holds \\u0000"),
        Unknown("text", "body is not a string"),
        Text("también bien"),
        status("read"),
        malformed("status is missing or no word"),
        malformed("id is missing or not a string"),
        malformed("timestamp '1790000000000' is no time in Unix seconds"),
    ],
}


def body_of(name: str) -> bytes:
    return (INBOUND / f"{name}.json").read_bytes()


def messages_of(name: str) -> list[Message]:
    return [item for item in parse(body_of(name)) if isinstance(item, Message)]


def message_of(name: str) -> Message:
    (message,) = messages_of(name)
    return message


def status_of(name: str) -> Status:
    (item,) = parse(body_of(name))
    assert isinstance(item, Status)
    return item


def sent_messages(body: Any) -> list[Any]:
    return [
        message
        for entry in body["entry"]
        for change in entry["changes"]
        for message in change["value"].get("messages", [])
    ]


def shape(item: Item) -> Expected:
    match item:
        case Message():
            return item.payload
        case Status():
            return (Status, item.status)
        case Event():
            return (Event, item.kind)
        case Unhandled():
            return (Unhandled, item.field)
        case Malformed():
            return (Malformed, item.reason)
        case _:
            assert_never(item)


def test_every_payload_file_has_its_line_and_every_line_its_file() -> None:
    assert sorted(CASES) == sorted(path.stem for path in INBOUND.glob("*.json"))


@pytest.mark.parametrize("name", CASES)
def test_a_payload_file_parses_to_its_items(name: str) -> None:
    assert [shape(item) for item in parse(body_of(name))] == CASES[name]


@pytest.mark.parametrize("name", CASES)
def test_the_same_body_as_meta_escapes_it_parses_alike(name: str) -> None:
    body = json.loads(body_of(name))
    escaped = json.dumps(body, separators=(",", ":")).replace("/", "\\/").encode()
    assert parse(escaped) == parse(body_of(name))


@pytest.mark.parametrize("name", CASES)
def test_what_is_rebuilt_of_an_item_parses_to_the_same_item(name: str) -> None:
    for item in parse(body_of(name)):
        if not isinstance(item, Malformed):
            assert parse(json.dumps(rebuild(item)).encode()) == [item]


def test_every_class_of_payload_is_shown_by_a_file() -> None:
    shown = {type(expected) for case in CASES.values() for expected in case}
    assert set(get_args(Payload)) <= shown


def test_every_class_in_the_payload_folder_is_in_the_union() -> None:
    files = Path(payloads.__file__).parent.glob("[!_]*.py")
    modules = [__import__(f"{payloads.__name__}.{path.stem}", fromlist=["x"]) for path in files]
    classes = {
        thing
        for module in modules
        for thing in vars(module).values()
        if isinstance(thing, type) and hasattr(thing, "WORDS")
    }
    assert classes == set(get_args(Payload))


def test_no_two_classes_read_the_same_word() -> None:
    words = [word for kind in get_args(Payload) for word in kind.WORDS]
    assert sorted(words) == sorted(payloads.READERS)


# --- What a message carries ---------------------------------------------------------------------


def test_a_text_message_carries_everything_meta_said() -> None:
    (sent,) = sent_messages(json.loads(body_of("text")))
    assert message_of("text") == Message(
        waba_id=WABA,
        phone_number_id=NUMBER,
        id="wamid.IN0001",
        timestamp=1790000001,
        type="text",
        content={"body": "Hola, ¿siguen abiertos? 🙂"},
        sender=LUCIA,
        context_id=None,
        group_id=None,
        extra={},
        payload=Text("Hola, ¿siguen abiertos? 🙂"),
        contact={
            "profile": {"name": "Lucía Ferrán"},
            "wa_id": PHONE,
            "user_id": "MX.8800130000000001",
        },
        raw=sent,
    )


@pytest.mark.parametrize("name", CASES)
def test_no_key_of_a_message_is_lost(name: str) -> None:
    envelope = {"from", "from_user_id", "from_parent_user_id", "id", "timestamp", "type"}
    for message in messages_of(name):
        kept = {key: part for key, part in message.extra.items() if key != "unreadable"}
        if message.content:
            kept[message.type] = message.content
        assert kept == {key: part for key, part in message.raw.items() if key not in envelope}


def test_content_is_metas_object_a_list_for_contacts_and_empty_for_a_welcome() -> None:
    assert message_of("interactive_button_reply").content == {
        "type": "button_reply",
        "button_reply": {"id": "confirm", "title": "Confirmar"},
    }
    contacts = message_of("contacts").content
    assert isinstance(contacts, list)
    assert [person["name"]["formatted_name"] for person in contacts] == ["Omar Quiroga", "Eva"]
    assert message_of("request_welcome").content == {}
    assert message_of("unsupported_old").content == {}
    assert message_of("type_of_tomorrow").content == {"id": "770199", "depth": 3}


def test_what_a_message_is_about_stands_beside_its_content() -> None:
    assert context_of(message_of("text_about_product").extra) == Context(
        forwarded=False, product=Product("cat-71", "mug-blue")
    )
    assert context_of(message_of("text_reply").extra) == Context(forwarded=False, product=None)
    for name in ("text_forwarded", "text_frequently_forwarded"):
        assert context_of(message_of(name).extra) == Context(forwarded=True, product=None)
    assert context_of(message_of("text").extra) is None
    assert context_of({"context": {"referred_product": {"catalog_id": 5}}}) == Context(
        forwarded=False, product=None
    )


def test_the_ad_or_post_that_led_here_stands_beside_the_content() -> None:
    assert referral_of(message_of("text_from_ad").extra) == Referral(
        source_type="ad",
        source_id="120990001",
        source_url="https://fb.example/ad/9",
        headline="Tazas de autor",
        body="Hechas a mano",
        media_type="image",
        media_url="https://img.example/9.jpg",
        ctwa_clid="AffX-9",
    )
    old = referral_of(message_of("text_from_post_old").extra)
    assert old is not None
    assert (old.source_type, old.media_url, old.ctwa_clid) == ("post", None, None)
    assert referral_of(message_of("text").extra) is None


@pytest.mark.parametrize("raw", ["null", "[1]", '"text"', "5", "{", "", '{"a": "\\u0000"}'])
def test_an_answer_that_is_no_object_stays_the_string_it_is(raw: str) -> None:
    body = json.loads(body_of("interactive_nfm_reply"))
    (sent,) = sent_messages(body)
    sent["interactive"]["nfm_reply"]["response_json"] = raw
    (item,) = parse(json.dumps(body).encode())
    assert isinstance(item, Message)
    assert item.payload == NfmReply("flow", "Sent", raw, None, None)


@pytest.mark.parametrize("token", ["unused", "t", 5, None, "", "x" * 2000])
def test_a_flow_token_is_one_only_if_it_can_be_an_id(token: Any) -> None:
    body = json.loads(body_of("interactive_nfm_reply"))
    (sent,) = sent_messages(body)
    sent["interactive"]["nfm_reply"]["response_json"] = json.dumps({"flow_token": token})
    (item,) = parse(json.dumps(body).encode())
    assert isinstance(item, Message)
    assert isinstance(item.payload, NfmReply)
    assert item.payload.flow_token == (token if token in {"unused", "t"} else None)


@pytest.mark.parametrize("end", ["soon", -1, 1.5, True, "1" * 11, {}])
def test_a_permission_with_an_odd_end_is_no_permission(end: Any) -> None:
    body = json.loads(body_of("interactive_call_permission_reply"))
    (sent,) = sent_messages(body)
    sent["interactive"]["call_permission_reply"]["expiration_timestamp"] = end
    (item,) = parse(json.dumps(body).encode())
    assert isinstance(item, Message)
    assert item.payload == Unknown("interactive", "expiration_timestamp is no time in Unix seconds")


def test_the_type_is_metas_word() -> None:
    assert message_of("interactive_list_reply").type == "interactive"
    assert message_of("voice_old").type == "voice"
    assert message_of("type_of_tomorrow").type == "hologram"
    assert message_of("interactive_address_old").type == "interactive"


def test_a_reply_names_the_message_it_answers_and_a_forward_names_none() -> None:
    assert message_of("text_reply").context_id == "wamid.OUT0001"
    assert message_of("text_forwarded").context_id is None
    assert message_of("text_forwarded").extra["context"] == {"forwarded": True}


def test_what_else_a_message_has_is_kept_beside_its_content() -> None:
    assert message_of("text_from_ad").extra["referral"]["ctwa_clid"] == "AffX-9"
    assert message_of("image_failed").extra["errors"][0]["code"] == 131052
    assert message_of("text_with_identity").extra["identity"]["hash"] == "Zk9="
    assert message_of("text_in_group").group_id == "Y2FwaV9ncm91cDox"


def test_an_odd_value_costs_the_payload_and_not_the_message() -> None:
    message = message_of("location_out_of_range")
    assert message.content == {"latitude": 190.5, "longitude": 12.0}
    assert message.extra == {"unreadable": "location: latitude is out of range"}
    assert message.sender == LUCIA


# --- Who wrote ----------------------------------------------------------------------------------


def test_a_person_without_a_phone_is_known_by_the_user_ids() -> None:
    assert message_of("text_without_phone").sender == Sender(
        None, "MX.8800130000000002", "MX.ENT.4410", "tomas.k", "Tomás"
    )


def test_a_user_id_in_place_of_the_phone_is_no_phone() -> None:
    assert message_of("text_user_id_in_from").sender == Sender(
        None, "US.5500120000000003", None, None, "Ada"
    )


def test_the_only_contact_belongs_to_the_only_sender_however_the_phone_is_spelt() -> None:
    assert message_of("text_other_spelling_of_phone").sender == Sender(
        "5511955501004", None, None, None, "Bia"
    )


def test_each_message_gets_its_own_contact_whatever_their_order() -> None:
    first, second = messages_of("messages_of_two_people")
    assert first.sender == LUCIA
    assert second.sender == Sender("5215550100305", None, None, None, "Raúl")


def envelope(value: dict[str, Any], field: str = "messages") -> bytes:
    metadata = {"metadata": {"phone_number_id": NUMBER}}
    change = {"field": field, "value": metadata | value}
    return json.dumps({"entry": [{"id": WABA, "changes": [change]}]}).encode()


def text_message(**keys: Any) -> dict[str, Any]:
    message = {
        "from": PHONE,
        "id": "wamid.T1",
        "timestamp": "1790000000",
        "type": "text",
        "text": {"body": "hola"},
    }
    return {key: part for key, part in (message | keys).items() if part is not None}


def parse_message(**keys: Any) -> Item:
    (item,) = parse(envelope({"messages": [text_message(**keys)]}))
    return item


def sender_of(contacts: list[Any], **keys: Any) -> Sender:
    (item,) = parse(envelope({"messages": [text_message(**keys)], "contacts": contacts}))
    assert isinstance(item, Message)
    return item.sender


def test_a_second_sender_never_gets_the_name_of_the_first() -> None:
    messages = [text_message(), text_message(**{"from": "5215550100999"})]
    items = parse(
        envelope({"messages": messages, "contacts": [{"wa_id": PHONE, "user_id": "MX.1"}]})
    )
    assert [item.sender for item in items if isinstance(item, Message)] == [
        Sender(PHONE, "MX.1", None, None, None),
        Sender("5215550100999", None, None, None, None),
    ]


def test_a_contact_is_found_by_the_user_id_when_the_phone_is_missing() -> None:
    people = [{"wa_id": "5215550100998", "user_id": "MX.8"}, {"wa_id": PHONE, "user_id": "MX.9"}]
    sender = sender_of(people, **{"from": None, "from_user_id": "MX.9"})
    assert sender == Sender(PHONE, "MX.9", None, None, None)


def test_a_phone_with_a_plus_or_as_a_number_is_the_same_phone() -> None:
    assert sender_of([], **{"from": f"+{PHONE}"}).wa_id == PHONE
    assert sender_of([], **{"from": int(PHONE)}).wa_id == PHONE


def test_what_is_no_phone_by_its_length_identifies_as_it_stands() -> None:
    assert sender_of([], **{"from": "123456"}) == Sender(None, "123456", None, None, None)
    assert sender_of([], **{"from": "1" * 16}) == Sender(None, "1" * 16, None, None, None)


def test_a_sender_that_is_odd_is_taken_from_the_contact() -> None:
    assert sender_of([{"wa_id": PHONE}], **{"from": {"no": "phone"}}).wa_id == PHONE


def test_a_message_of_nobody_is_malformed() -> None:
    item = parse_message(**{"from": None})
    assert isinstance(item, Malformed)
    assert item.reason == "names no sender"


def test_a_name_that_cannot_be_stored_costs_the_name_only() -> None:
    contact = {"wa_id": PHONE, "user_id": "MX.1", "profile": {"name": "A\0na"}}
    assert sender_of([contact]) == Sender(PHONE, "MX.1", None, None, None)


# --- Statuses -----------------------------------------------------------------------------------


def test_a_status_carries_our_key_the_errors_and_the_participant() -> None:
    failed = status_of("status_failed")
    assert failed.callback_data == "01930f0a-7a11-7c3e-9d55-0a4f6b1c2d3e.1"
    assert [error["code"] for error in failed.errors] == [131026]
    assert failed.participant == ""
    assert failed.recipient_id == PHONE
    of_group = [item for item in parse(body_of("status_of_group")) if isinstance(item, Status)]
    assert [item.participant for item in of_group] == [PHONE, "5215550100305", "5215550100305"]
    assert {item.recipient_id for item in of_group} == {"Y2FwaV9ncm91cDox"}


def test_callback_data_of_another_shape_is_data_like_another() -> None:
    assert status_of("status_other_callback_data").callback_data == "another-system/job 77"
    (item,) = parse(envelope({"statuses": [good_status(biz_opaque_callback_data=7)]}))
    assert isinstance(item, Status)
    assert item.callback_data is None


def good_status(**keys: Any) -> dict[str, Any]:
    status = {"id": "wamid.T1", "status": "sent", "timestamp": "1790000000", "recipient_id": PHONE}
    return {key: part for key, part in (status | keys).items() if part is not None}


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"id": None}, "id is missing or not a string"),
        ({"id": ""}, "id is missing or not a string"),
        ({"id": "w" * 1001}, "id is longer than 1000 bytes"),
        ({"status": None}, "status is missing or no word"),
        ({"status": 5}, "status is missing or no word"),
        ({"timestamp": None}, "timestamp is missing"),
        (
            {"recipient_participant_id": "p" * 1001},
            "recipient_participant_id is longer than 1000 bytes",
        ),
    ],
)
def test_a_status_that_cannot_be_told_apart_is_malformed(keys: dict[str, Any], reason: str) -> None:
    (item,) = parse(envelope({"statuses": [good_status(**keys)]}))
    assert isinstance(item, Malformed)
    assert item.reason == reason
    assert json.loads(item.raw) == good_status(**keys)


def test_the_status_of_a_payment_is_never_taken_for_a_messages() -> None:
    (item,) = parse(body_of("payment_status"))
    assert isinstance(item, Event)
    assert (item.detail["r"], item.detail["st"], item.at) == ("ord-9", "captured", 1790000000)
    assert item.phone_number_id == NUMBER


@pytest.mark.parametrize(
    "name",
    ["calls_connect", "history", "smb_message_echoes", "user_id_update", "user_preferences"],
)
def test_what_comes_under_messages_is_known_by_its_keys(name: str) -> None:
    body = json.loads(body_of(name))
    items = parse(json.dumps(body).encode())
    for entry in body["entry"]:
        for change in entry["changes"]:
            change["field"] = "messages"
    again = parse(json.dumps(body).encode())
    kinds = [(item.kind, item.detail) for item in again if isinstance(item, Event)]
    assert len(kinds) == len(again)
    assert kinds == [(item.kind, item.detail) for item in items if isinstance(item, Event)]


def test_a_status_of_a_type_of_tomorrow_is_kept_whole() -> None:
    (item,) = parse(envelope({"statuses": [good_status(type="parcel")]}))
    assert isinstance(item, Unhandled)
    assert item.raw["value"]["statuses"] == [good_status(type="parcel")]


def test_one_copy_that_cannot_be_stored_costs_itself_only() -> None:
    value = json.loads(body_of("history"))["entry"][0]["changes"][0]["value"]
    (first, _) = value["history"][0]["threads"][0]["messages"]
    first["text"]["body"] = "null \x00 and \ud800"
    items = parse(envelope(value, field="history"))
    assert [type(item) for item in items] == [Event, Malformed, Event]
    assert isinstance(items[1], Malformed)
    assert parse(items[1].body) == [items[1]]


@pytest.mark.parametrize(
    "value",
    [
        {"history": [{"errors": []}, 5, {"threads": {}}, {"threads": [7, {"messages": 8}]}]},
        {"history": [{"threads": [{"id": "1", "notes": "x"}]}]},
        {"history": 7},
        {"history": [], "messages": [5, {"id": "wamid.1"}]},
        {"message_echoes": [None, {"id": "wamid.1", "to": {}}]},
        {"message_echoes": {}},
        {"calls": [5, {"id": "wacid.1"}, {"id": "wacid.1", "event": "connect"}], "statuses": [6]},
        {"calls": {}},
    ],
)
def test_odd_parts_of_calls_and_copies_are_kept_with_their_reasons(value: dict[str, Any]) -> None:
    items = parse(envelope(value, field=next(iter(value))))
    assert items
    assert {type(item) for item in items} == {Malformed}


# --- Errors of an account -----------------------------------------------------------------------


def errors_of(body: bytes) -> list[tuple[str, Any, int | None]]:
    """Return word, document and time of every error of an account in `body`."""
    items = [item for item in parse(body) if isinstance(item, Event)]
    assert {item.kind for item in items} <= {"account_event"}
    assert {item.detail["f"] for item in items} <= {"account_errors"}
    assert {item.phone_number_id for item in items} <= {NUMBER}
    return [(item.detail["e"], item.detail["x"], item.at) for item in items]


def test_each_error_of_an_account_is_an_event_named_by_its_code() -> None:
    value = json.loads(body_of("account_errors_several"))["entry"][0]["changes"][0]["value"]
    assert errors_of(body_of("account_errors_several")) == [
        (word, {"errors": [error], "contacts": value["contacts"]}, 1790000000)
        for word, error in zip(("131000", "131016", "unknown"), value["errors"], strict=True)
    ]
    ((word, _, at),) = errors_of(body_of("account_errors"))
    assert (word, at) == ("130429", None)


def test_an_error_beside_messages_and_statuses_names_them_and_takes_nothing_from_them() -> None:
    error = {"code": 131000, "title": "Something went wrong"}
    good = {"messages": [text_message(), 5], "statuses": [good_status(id="wamid.T2")]}
    people = {"contacts": [{"wa_id": PHONE}]}
    items = parse(envelope(good | people))
    more = parse(envelope(good | people | {"errors": [error]}))
    assert more[:-1] == items
    ((_, shown, _),) = errors_of(envelope(good | people | {"errors": [error]}))
    assert shown == {"errors": [error], "beside": ["wamid.T1", "wamid.T2"]}


def test_an_error_names_its_own_neighbours_and_of_many_the_first() -> None:
    error = {"errors": [{"code": 1}]}
    many = [text_message(id=f"wamid.{n}") for n in range(1000)]
    entries = [json.loads(envelope({"messages": [text_message()]}))["entry"][0]]
    entries += json.loads(envelope({"messages": many} | error))["entry"]
    ((_, shown, _),) = errors_of(json.dumps({"entry": entries}).encode())
    assert shown["beside"] == [f"wamid.{n}" for n in range(10)]


@pytest.mark.parametrize("beside", [{}, {"messages": [{}]}])
@pytest.mark.parametrize("odd", ["x", 7, {"code": 1}, True, [7], ["x", []]])
def test_errors_that_are_none_are_kept_as_they_are(odd: object, beside: dict[str, Any]) -> None:
    *others, kept = parse(envelope({"errors": odd} | beside))
    assert [type(item) for item in others] == [Malformed] * len(beside)
    assert isinstance(kept, Unhandled)
    assert kept.raw["value"] == {"metadata": {"phone_number_id": NUMBER}, "errors": odd}


def test_what_is_no_error_costs_no_error_beside_it() -> None:
    body = envelope({"errors": ["x", {"code": 1}, None], "tomorrow": 1})
    assert [word for word, _, _ in errors_of(body)] == ["1"]
    *_, rest = parse(body)
    assert isinstance(rest, Unhandled)
    assert rest.raw["value"].items() >= {"errors": ["x", None], "tomorrow": 1}.items()


def test_an_error_that_cannot_be_stored_costs_itself_only() -> None:
    body = envelope({"errors": [{"code": 1}, {"code": 2, "title": "\0"}, {"code": 3}]})
    assert [type(item) for item in parse(body)] == [Event, Malformed, Event]
    assert [word for word, _, _ in errors_of(body)] == ["1", "3"]


@pytest.mark.parametrize("code", [True, None, "", [], {}, 1.5])
def test_an_error_without_a_code_is_an_error(code: object) -> None:
    ((word, shown, _),) = errors_of(envelope({"errors": [{"code": code}]}))
    assert (word, shown) == ("unknown", {"errors": [{"code": code}]})


# --- Times and ids ------------------------------------------------------------------------------


@pytest.mark.parametrize("time", ["1790000000", 1790000000, "0001790000000", 946684800])
def test_a_time_in_unix_seconds_is_read_as_text_or_number(time: object) -> None:
    item = parse_message(timestamp=time)
    assert isinstance(item, Message)
    assert item.timestamp == int(str(time))


@pytest.mark.parametrize(
    "time",
    [
        *("", "ayer", "-1", "1790000000.5", " 1790000000", "+1790000000", "1790000000000", "0"),
        *("9" * 19, "1" * 5000, "١٧٩٠٠٠٠٠٠٠", 0, -5, 4102444800, 1790000000.0, True, [], {}),
    ],
)
def test_any_other_time_is_malformed(time: object) -> None:
    item = parse_message(timestamp=time)
    assert isinstance(item, Malformed)
    assert item.reason.startswith("timestamp ")
    assert len(item.reason) < 100


@pytest.mark.parametrize("given", ["wamid.X", "wacid.X", "gBEGkYiEB1VXAglK1ZEqA1YKPrU", "7"])
def test_an_id_needs_no_prefix(given: str) -> None:
    item = parse_message(id=given)
    assert isinstance(item, Message)
    assert item.id == given


@pytest.mark.parametrize("given", ["w" * 1001, "é" * 501, "", 7, ["x"]])
def test_an_id_that_no_index_holds_is_malformed(given: object) -> None:
    assert isinstance(parse_message(id=given), Malformed)


# --- What the database cannot hold --------------------------------------------------------------


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (rb'"nul \u0000"', "holds \\u0000"),
        (rb'"half \ud83d"', "holds a lone surrogate"),
        (b'"half \xed\xa0\xbd"', "holds a lone surrogate"),
        (b"1e999", "holds a number that is not finite"),
        (b"[" * 400 + b"]" * 400, "nested deeper than 200 levels"),
    ],
)
def test_what_jsonb_refuses_costs_its_message_only(bad: bytes, reason: str) -> None:
    good = text_message()
    body = envelope({"messages": [good, text_message(text={"body": "MARK"}), good]})
    before, broken, after = parse(body.replace(b'"MARK"', bad))
    assert isinstance(before, Message)
    assert isinstance(broken, Malformed)
    assert isinstance(after, Message)
    assert broken.reason == reason
    assert b"wamid.T1" in broken.raw


def test_a_backslash_before_u0000_is_only_text() -> None:
    item = parse_message(text={"body": r"C:\u0000"})
    assert isinstance(item, Message)
    assert item.payload == Text(r"C:\u0000")


def test_an_item_as_deep_as_the_limit_is_kept_and_one_level_more_is_not() -> None:
    many: dict[str, Any] = {"rest": [[] for _ in range(200)]}
    kept = parse(envelope({"messages": [text_message(text={"body": "x", **many, **nested(197)})]}))
    assert [type(item) for item in kept] == [Message]
    over = parse(envelope({"messages": [text_message(text={"body": "x", **many, **nested(199)})]}))
    assert [type(item) for item in over] == [Malformed]


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"null", b"[]", b'"text"', b"7", b"{", b"\xff\xfe", b"<html>", b'{"a": NaN}'),
        *(b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5_000),
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(NotJson):
        parse(body)


# --- Odd envelopes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "entry is missing or not a list"),
        ({"entry": None}, "entry is missing or not a list"),
        ({"entry": {"0": []}}, "entry is missing or not a list"),
        ({"entry": [7]}, "entry is not an object"),
        ({"entry": [{"id": WABA, "changes": "x"}]}, "changes is missing or not a list"),
        ({"entry": [{"id": WABA, "changes": [None]}]}, "change is not an object"),
        (
            {"entry": [{"id": WABA, "changes": [{"field": "messages", "value": 5}]}]},
            "value is missing or not an object",
        ),
    ],
)
def test_an_envelope_that_cannot_be_read_is_kept_as_bytes(body: Any, reason: str) -> None:
    (item,) = parse(json.dumps(body).encode())
    assert isinstance(item, Malformed)
    assert item.reason == reason


def test_an_empty_envelope_holds_nothing() -> None:
    assert parse(b'{"object":"whatsapp_business_account","entry":[]}') == []
    assert parse(b'{"entry":[{"id":"1","changes":[]}]}') == []


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"messages": [], "statuses": [], "errors": []},
        {"contacts": [{"wa_id": PHONE}]},
        {"tidings": [{"id": "wamid.E"}]},
    ],
)
def test_a_change_without_any_item_is_kept_whole(value: dict[str, Any]) -> None:
    (item,) = parse(envelope(value))
    assert isinstance(item, Unhandled)
    assert item.raw["value"] == {"metadata": {"phone_number_id": NUMBER}} | value


@pytest.mark.parametrize("odd", [{"id": "x"}, "x", 7, True])
@pytest.mark.parametrize("key", ["messages", "statuses", "contacts"])
def test_a_list_that_is_none_does_not_cost_its_neighbours(key: str, odd: object) -> None:
    value = {"messages": [text_message()], "statuses": [good_status()]} | {key: odd}
    items = parse(envelope(value))
    kinds = {"messages": Malformed, "statuses": Malformed, "contacts": Unhandled}
    assert kinds[key] in {type(item) for item in items}
    assert len(items) == (3 if key == "contacts" else 2)


def test_the_number_may_come_as_a_number() -> None:
    body = envelope({"messages": [text_message()]}).replace(f'"{NUMBER}"'.encode(), NUMBER.encode())
    (item,) = parse(body)
    assert isinstance(item, Message)
    assert item.phone_number_id == NUMBER


def test_the_time_of_an_entry_is_kept_as_a_number() -> None:
    (as_text,) = parse(body_of("account_update_ban"))
    (as_number,) = parse(body_of("account_review_update"))
    absent, *_ = parse(body_of("history"))
    assert isinstance(as_text, Event)
    assert isinstance(as_number, Event)
    assert isinstance(absent, Event)
    assert (as_text.entry_time, as_number.entry_time) == (1790000000, 1790000000)
    assert absent.entry_time is None


def test_an_unhandled_change_is_kept_whole() -> None:
    value = {"metadata": {"phone_number_id": NUMBER}, "something": [{"new": True}]}
    change = {"field": "field_of_tomorrow", "value": value}
    (item,) = parse(json.dumps({"entry": [{"id": WABA, "changes": [change]}]}).encode())
    assert isinstance(item, Unhandled)
    assert item.raw == change
    assert item.phone_number_id == NUMBER


def test_importing_the_parser_brings_neither_http_nor_models_nor_sql() -> None:
    # A cold start of the webhook function pays for every import.
    script = (
        "import sys; sys.path.insert(0, 'layers/common'); import switchboard.whatsapp.webhook;"
        "print([name for name in ('httpx', 'pydantic', 'psycopg', 'switchboard.whatsapp.client',"
        " 'switchboard.whatsapp.outbound') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("field", "own"),
    [
        ("user_id_update", "user_id_update"),
        ("user_preferences", "user_preferences"),
        ("smb_message_echoes", "message_echoes"),
        ("calls", "calls"),
        ("history", "history"),
    ],
)
def test_what_stands_beside_a_fields_own_list_reads_again_as_what_it_was(
    field: str, own: str
) -> None:
    path = min(INBOUND.glob(f"{field}*.json"))
    body = json.loads(path.read_bytes())
    body["entry"][0]["changes"][0]["value"]["list_of_tomorrow"] = [1]
    assert own in body["entry"][0]["changes"][0]["value"]
    (rest,) = [item for item in parse(json.dumps(body).encode()) if isinstance(item, Unhandled)]
    assert parse(json.dumps(rebuild(rest)).encode()) == [rest]


def test_what_nobody_knows_in_a_chunk_of_history_is_kept_with_it() -> None:
    body = json.loads((INBOUND / "history.json").read_bytes())
    (chunk, *_) = body["entry"][0]["changes"][0]["value"]["history"]
    plain = parse(json.dumps(body).encode())
    chunk["of_tomorrow"] = {"canary": 1}
    chunk["threads"][0]["of_tomorrow"] = {"canary": 2}
    items = parse(json.dumps(body).encode())
    odd = [json.loads(item.body) for item in items if isinstance(item, Malformed)]
    assert [item for item in items if not isinstance(item, Malformed)] == plain
    texts = [json.dumps(one) for one in odd]
    assert any('"canary": 1' in text for text in texts)
    assert any('"canary": 2' in text for text in texts)
