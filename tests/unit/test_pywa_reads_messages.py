"""What people send on the simulator, as pywa reads it: its objects, with the right members."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pywa import types as p
from pywa.types import templates as t
from pywa.types.calls import (
    SessionDescription,
)
from pywa.types.others import ContactsOrigin

from tests.pywa_client import ANA, ANA_ID, ANA_USER, Json, Pywa, Update, pywa
from tests.pywa_templates import CASES
from tests.simulator_run import FIRST, backend, simulator

OFFER = SessionDescription(sdp_type="offer", sdp="v=0\r\no=- 7 2 IN IP4 127.0.0.1\r\n")
ANSWER = SessionDescription(sdp_type="answer", sdp="v=0\r\no=- 8 2 IN IP4 127.0.0.1\r\n")


@pytest.fixture(scope="module")
def running() -> Iterator[Pywa]:
    with backend() as receiver, simulator(receiver) as meta, pywa(meta) as client:
        yield client


@pytest.fixture
def client(running: Pywa) -> Pywa:
    running.meta.start_afresh()
    running.meta.http.delete("/simulator/templates").raise_for_status()
    return running


def played(client: Pywa, kind: type[Update], **gesture: Any) -> Update:
    """What pywa makes of a gesture of Ana's: it is hers, and now."""
    client.delivered()
    shown = client.meta.play("ana", **gesture)
    update: Any = client.told(kind)
    assert (update.id, update.waba_id) == (shown["id"], FIRST.waba_id)
    assert update.metadata.phone_number_id == FIRST.phone_number_id
    assert update.metadata.display_phone_number == FIRST.display_phone_number
    person = update.from_user
    assert (person.name, person.wa_id, person.bsuid) == ("Ana Torres", ANA_ID, ANA_USER)
    assert update.timestamp == datetime.fromtimestamp(int(client.meta.clock()), UTC)
    read: Update = update
    return read


def test_a_text_and_an_answer(client: Pywa) -> None:
    first = played(client, p.Message, text="¿hay aloe? 🌵")
    assert (first.type, first.text) == (p.MessageType.TEXT, "¿hay aloe? 🌵")
    assert first.reply_to_message is None
    sent = first.reply("Sí")
    answer = played(client, p.Message, text="dos", reply_to=sent.id)
    assert answer.reply_to_message is not None
    assert answer.reply_to_message.id == sent.id


def test_somebody_without_a_number_is_known_by_the_user_id(client: Pywa) -> None:
    client.meta.play("mei", text="hello")
    message = client.told(p.Message)
    assert (message.from_user.wa_id, message.from_user.username) == (None, "mei.lin")
    assert message.from_user.bsuid == "SG.134921770815460"
    message.reply("Hi")
    assert client.last_body["recipient"] == "SG.134921770815460"


def test_a_picture_that_pywa_fetches(client: Pywa) -> None:
    message = played(client, p.Message, type="image", data="aGVsbG8=", caption="mira")
    assert message.image is not None
    assert (message.image.mime_type, message.caption) == ("image/jpeg", "mira")
    assert message.get_media_bytes() == b"hello"


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("video", {"caption": "mira"}),
        ("audio", {"voice": True}),
        ("document", {"filename": "a.pdf"}),
        ("sticker", {"animated": False}),
    ],
)
def test_other_files(client: Pywa, kind: str, more: Json) -> None:
    file = client.meta.uploaded(b"bytes", "application/octet-stream")
    content = {"id": file, "mime_type": "application/octet-stream", "sha256": "eA==", **more}
    message = played(client, p.Message, type="raw", content=content, **{"as": kind})
    media: Any = message.media
    assert message.type.value == kind
    assert (media.id, media.mime_type) == (file, "application/octet-stream")
    for name, value in more.items():
        assert getattr(media, name) == value
    assert message.get_media_bytes() == b"bytes"


def test_a_place(client: Pywa) -> None:
    place: Json = {"latitude": 19.43, "longitude": -99.13, "name": "Zócalo", "address": "Centro"}
    message = played(client, p.Message, type="location", **place)
    assert message.location == p.Location(**place)
    assert not message.location.current_location


def test_a_card_and_a_number_that_was_asked_for(client: Pywa) -> None:
    card: Json = {
        "name": {"formatted_name": "Ben Whitfield", "first_name": "Ben"},
        "phones": [{"phone": "+447700900142", "type": "CELL", "wa_id": "447700900142"}],
        "emails": [{"email": "ben@mail.example", "type": "WORK"}],
    }
    gesture: Json = {"as": "contacts", "content": {"items": [card]}}
    message = played(client, p.Message, type="raw", **gesture)
    assert message.contacts is not None
    assert message.contacts.origin is ContactsOrigin.OTHER
    (read,) = message.contacts
    assert read.name is not None
    assert (read.name.formatted_name, read.name.first_name) == ("Ben Whitfield", "Ben")
    assert (read.phones[0].wa_id, read.emails[0].email) == ("447700900142", "ben@mail.example")
    asked = client.client.request_contact_info(ANA, "Your number?")
    shared = played(client, p.Message, type="contact")
    assert shared.contacts is not None
    assert shared.contacts.origin is ContactsOrigin.CONTACT_REQUEST
    assert shared.contacts.first_wa_id == ANA_ID
    assert shared.reply_to_message is not None
    assert shared.reply_to_message.id == asked.id


def test_a_reaction_and_its_end(client: Pywa) -> None:
    sent = client.client.send_message(ANA, "hi")
    for emoji in ("❤️", None):
        gesture = {"type": "reaction", "message_id": sent.id, "emoji": emoji or ""}
        reaction = played(client, p.Message, **gesture).reaction
        assert reaction is not None
        assert (reaction.message_id, reaction.emoji) == (sent.id, emoji)
        assert reaction.is_removed is (emoji is None)


def test_a_button_and_a_row(client: Pywa) -> None:
    asked = client.client.send_message(ANA, "Well?", buttons=[p.Button("Yes", "y")])
    button = played(client, p.CallbackButton, type="button", button_id="y")
    assert (button.type, button.data, button.title) == (p.MessageType.INTERACTIVE, "y", "Yes")
    assert button.reply_to_message is not None
    assert button.reply_to_message.id == asked.id
    rows = [p.SectionRow("Aloe", "a", "small")]
    listed = client.client.send_message(
        ANA, "Well?", buttons=p.SectionList("Open", [p.Section("Green", rows)])
    )
    row = played(client, p.CallbackSelection, type="list", row_id="a")
    assert (row.data, row.title, row.description) == ("a", "Aloe", "small")
    assert row.reply_to_message.id == listed.id


def test_a_quick_reply_of_a_template(client: Pywa) -> None:
    case = CASES["positions"]
    client.store(case.template("positions"))
    client.client.send_template(ANA, "positions", t.TemplateLanguage.ENGLISH_US, case.params)
    button = played(client, p.CallbackButton, type="button", button_id="yes")
    assert (button.type, button.data, button.title) == (p.MessageType.BUTTON, "yes", "Yes")
    assert button.is_quick_reply


def test_a_form_that_was_filled_in(client: Pywa) -> None:
    asked = client.client.send_message(
        ANA, "Well?", buttons=p.FlowButton("Open", flow_name="sizes", flow_token="t-1")
    )
    done = played(client, p.FlowCompletion, type="flow", answers={"size": "XL", "n": [1, 2]})
    assert (done.token, done.body) == ("t-1", "Sent")
    assert done.response == {"size": "XL", "n": [1, 2]}
    assert done.reply_to_message is not None
    assert done.reply_to_message.id == asked.id


def test_an_order_and_a_question_about_a_product(client: Pywa) -> None:
    asked = client.client.send_products(
        ANA, "7700", [p.ProductsSection("Green", ["aloe", "fern"])], "Plants", "Well?"
    )
    items = [{"product_retailer_id": "aloe", "quantity": 2}, {"product_retailer_id": "fern"}]
    message = played(client, p.Message, type="order", items=items, text="soon")
    order = message.order
    assert order is not None
    assert (order.catalog_id, order.text) == ("7700", "soon")
    assert [(one.sku, one.quantity, one.currency) for one in order.products] == [
        ("aloe", 2, "USD"),
        ("fern", 1, "USD"),
    ]
    assert order.total_price > 0
    question = {"type": "inquiry", "product_retailer_id": "fern", "text": "still there?"}
    about = played(client, p.Message, **question).reply_to_message
    assert about is not None
    assert about.id == asked.id
    assert about.referred_product == p.others.ReferredProduct(catalog_id="7700", sku="fern")


def test_what_somebody_changed_on_the_way_is_not_read(client: Pywa) -> None:
    client.meta.faults(signature="wrong")
    client.meta.play("ana", text="hola")
    (received,) = client.delivered()
    header = received.headers["x-hub-signature-256"]
    assert client.client.webhook_update_validator(received.body, header) == ("Forbidden", 403)
