"""Every kind of free-form message that pywa can send: its call, and Meta's object of the type.

Not here, since pywa itself cannot: a call button's life as a timedelta goes out as a float (4320.0
minutes), which Meta's integer is not. Pins are for groups, which the simulator does not play.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from pywa import WhatsApp
from pywa import types as p
from pywa.types.flows import FlowActionType

from tests.pywa_client import ANA, ANA_ID, PICTURE, Json

MEI_USER = "SG.134921770815460"
FILM = "https://img.example/a.mp4"
PAPER = "https://img.example/a.pdf"
CLIP = "https://img.example/a.ogg"
STICKER = "https://img.example/a.webp"
PAGE = "https://shop.example/a"
REPLY = {"buttons": [{"type": "reply", "reply": {"id": "y", "title": "Yes"}}]}
CARD: Json = {
    "card_index": 0,
    "type": "cta_url",
    "header": {"type": "image", "image": {"link": PICTURE}},
    "body": {"text": "A"},
}


def quick(name: str) -> Json:
    return {"buttons": [{"type": "quick_reply", "quick_reply": {"id": name, "title": "Take it"}}]}


class Case(NamedTuple):
    """A call of pywa, and the object of the type it makes; `more` are members beside it.

    MESSAGE and FILE stand for the ids that the call is given.
    """

    call: Callable[[WhatsApp, str, str], Any]
    type: str
    content: Any
    more: Json = {}  # noqa: RUF012 - never changed


def interactive(kind: str, action: Json, body: str = "Well?", **parts: Any) -> Json:
    return {"type": kind, "action": action, "body": {"text": body}, **parts}


YES = p.Button("Yes", "y")
FULL_CARD = p.Contact(
    name=p.Contact.Name(formatted_name="Ana Torres", first_name="Ana"),
    birthday="1990-05-17",
    phones=[p.Contact.Phone(phone="+525550001234", type="CELL", wa_id=ANA_ID)],
    emails=[p.Contact.Email(email="ana@mail.example", type="WORK")],
    urls=[p.Contact.Url(url=PAGE, type="HOME")],
    addresses=[p.Contact.Address(city="México", country_code="MX", type="HOME")],
    org=p.Contact.Org(company="Casa Verde"),
)
# pywa writes what is not there as null.
FULL_CARD_BODY: Json = {
    "name": {
        "formatted_name": "Ana Torres",
        "first_name": "Ana",
        "last_name": None,
        "middle_name": None,
        "suffix": None,
        "prefix": None,
    },
    "birthday": "1990-05-17",
    "phones": [{"phone": "+525550001234", "type": "CELL", "wa_id": ANA_ID}],
    "emails": [{"email": "ana@mail.example", "type": "WORK"}],
    "urls": [{"url": PAGE, "type": "HOME"}],
    "addresses": [
        {
            "street": None,
            "city": "México",
            "state": None,
            "zip": None,
            "country": None,
            "country_code": "MX",
            "type": "HOME",
        }
    ],
    "org": {"company": "Casa Verde", "department": None, "title": None},
}
FLOW: Json = {"mode": "published", "flow_message_version": "3", "flow_cta": "Open"}
CASES: dict[str, Case] = {
    "text": Case(
        lambda wa, m, f: wa.send_message(ANA, "see https://a.example", preview_url=True),
        "text",
        {"body": "see https://a.example", "preview_url": True},
    ),
    "text with callback data": Case(
        lambda wa, m, f: wa.send_message(ANA, "hi", tracker="order-1"),
        "text",
        {"body": "hi", "preview_url": False},
        {"biz_opaque_callback_data": "order-1"},
    ),
    "text for one identity": Case(
        lambda wa, m, f: wa.send_message(ANA, "hi", identity_key_hash="DF2lS5v2W6x"),
        "text",
        {"body": "hi", "preview_url": False},
        {"recipient_identity_key_hash": "DF2lS5v2W6x"},
    ),
    "text to a user id": Case(
        lambda wa, m, f: wa.send_message(MEI_USER, "hi"),
        "text",
        {"body": "hi", "preview_url": False},
        {"to": None, "recipient": MEI_USER},
    ),
    "answer": Case(
        lambda wa, m, f: wa.send_message(ANA, "hi", reply_to_message_id=m),
        "text",
        {"body": "hi", "preview_url": False},
        {"context": {"message_id": "MESSAGE"}},
    ),
    "image": Case(
        lambda wa, m, f: wa.send_image(ANA, PICTURE, "Look"),
        "image",
        {"link": PICTURE, "caption": "Look"},
    ),
    "uploaded image": Case(lambda wa, m, f: wa.send_image(ANA, f), "image", {"id": "FILE"}),
    "video": Case(
        lambda wa, m, f: wa.send_video(ANA, FILM, "Look"),
        "video",
        {"link": FILM, "caption": "Look"},
    ),
    "uploaded video": Case(lambda wa, m, f: wa.send_video(ANA, f), "video", {"id": "FILE"}),
    "document": Case(
        lambda wa, m, f: wa.send_document(ANA, PAPER, "bill.pdf", "Your bill"),
        "document",
        {"link": PAPER, "caption": "Your bill", "filename": "bill.pdf"},
    ),
    "uploaded document": Case(
        lambda wa, m, f: wa.send_document(ANA, f, filename="bill.pdf"),
        "document",
        {"id": "FILE", "filename": "bill.pdf"},
    ),
    "audio": Case(lambda wa, m, f: wa.send_audio(ANA, CLIP), "audio", {"link": CLIP}),
    "uploaded audio": Case(lambda wa, m, f: wa.send_audio(ANA, f), "audio", {"id": "FILE"}),
    "voice": Case(lambda wa, m, f: wa.send_voice(ANA, f), "audio", {"id": "FILE", "voice": True}),
    "sticker": Case(lambda wa, m, f: wa.send_sticker(ANA, STICKER), "sticker", {"link": STICKER}),
    "uploaded sticker": Case(lambda wa, m, f: wa.send_sticker(ANA, f), "sticker", {"id": "FILE"}),
    "place": Case(
        lambda wa, m, f: wa.send_location(ANA, 19.43, -99.13, "Zócalo", "Centro"),
        "location",
        {"latitude": 19.43, "longitude": -99.13, "name": "Zócalo", "address": "Centro"},
    ),
    "bare place": Case(
        lambda wa, m, f: wa.send_location(ANA, 19.43, -99.13),
        "location",
        {"latitude": 19.43, "longitude": -99.13, "name": None, "address": None},
    ),
    "cards": Case(lambda wa, m, f: wa.send_contact(ANA, [FULL_CARD]), "contacts", [FULL_CARD_BODY]),
    "reaction": Case(
        lambda wa, m, f: wa.send_reaction(ANA, "👍", m),
        "reaction",
        {"emoji": "👍", "message_id": "MESSAGE"},
    ),
    "reaction taken back": Case(
        lambda wa, m, f: wa.remove_reaction(ANA, m),
        "reaction",
        {"emoji": "", "message_id": "MESSAGE"},
    ),
    "reply buttons": Case(
        lambda wa, m, f: wa.send_message(ANA, "Well?", "Head", "Foot", buttons=[YES]),
        "interactive",
        interactive(
            "button", REPLY, header={"type": "text", "text": "Head"}, footer={"text": "Foot"}
        ),
    ),
    "reply buttons under a picture": Case(
        lambda wa, m, f: wa.send_image(ANA, f, "Well?", buttons=[YES]),
        "interactive",
        interactive("button", REPLY, header={"type": "image", "image": {"id": "FILE"}}),
    ),
    "reply buttons under a film": Case(
        lambda wa, m, f: wa.send_video(ANA, FILM, "Well?", "Foot", buttons=[YES]),
        "interactive",
        interactive(
            "button",
            REPLY,
            header={"type": "video", "video": {"link": FILM}},
            footer={"text": "Foot"},
        ),
    ),
    "reply buttons under a document": Case(
        lambda wa, m, f: wa.send_document(ANA, PAPER, "a.pdf", "Well?", buttons=[YES]),
        "interactive",
        interactive(
            "button",
            REPLY,
            header={"type": "document", "document": {"link": PAPER, "filename": "a.pdf"}},
        ),
    ),
    "list": Case(
        lambda wa, m, f: wa.send_message(
            ANA,
            "Well?",
            buttons=p.SectionList(
                "Open",
                [
                    p.Section("Green", [p.SectionRow("Aloe", "a", "small")]),
                    p.Section("Dry", [p.SectionRow("Cactus", "c")]),
                ],
            ),
        ),
        "interactive",
        interactive(
            "list",
            {
                "button": "Open",
                "sections": [
                    {
                        "title": "Green",
                        "rows": [{"id": "a", "title": "Aloe", "description": "small"}],
                    },
                    {"title": "Dry", "rows": [{"id": "c", "title": "Cactus"}]},
                ],
            },
        ),
    ),
    "link": Case(
        lambda wa, m, f: wa.send_message(ANA, "Well?", buttons=p.URLButton("Go", PAGE)),
        "interactive",
        interactive(
            "cta_url",
            {"name": "cta_url", "parameters": {"display_text": "Go", "url": PAGE}},
        ),
    ),
    "call button": Case(
        lambda wa, m, f: wa.send_message(ANA, "Well?", buttons=p.VoiceCallButton("Ring", 100)),
        "interactive",
        interactive(
            "voice_call",
            {"name": "voice_call", "parameters": {"display_text": "Ring", "ttl_minutes": 100}},
        ),
    ),
    "bare call button": Case(
        lambda wa, m, f: wa.send_message(ANA, "Well?", buttons=p.VoiceCallButton()),
        "interactive",
        interactive("voice_call", {"name": "voice_call", "parameters": {}}),
    ),
    "question for leave to call": Case(
        lambda wa, m, f: wa.send_message(ANA, "Well?", buttons=p.CallPermissionRequestButton()),
        "interactive",
        interactive("call_permission_request", {"name": "call_permission_request"}),
    ),
    "question for a place": Case(
        lambda wa, m, f: wa.request_location(ANA, "Well?"),
        "interactive",
        interactive("location_request_message", {"name": "send_location"}),
    ),
    "question for a number": Case(
        lambda wa, m, f: wa.request_contact_info(ANA, "Well?"),
        "interactive",
        interactive("request_contact_info", {"name": "request_contact_info"}),
    ),
    "form": Case(
        lambda wa, m, f: wa.send_message(
            ANA,
            "Well?",
            buttons=p.FlowButton(
                "Open",
                flow_id="6600",
                flow_token="t-1",
                flow_action_type=FlowActionType.NAVIGATE,
                flow_action_screen="SIZE",
                flow_action_payload={"name": "Ana"},
            ),
        ),
        "interactive",
        interactive(
            "flow",
            {
                "name": "flow",
                "parameters": {
                    **FLOW,
                    "flow_id": "6600",
                    "flow_token": "t-1",
                    "flow_action": "navigate",
                    "flow_action_payload": {"screen": "SIZE", "data": {"name": "Ana"}},
                },
            },
        ),
    ),
    "form by name": Case(
        lambda wa, m, f: wa.send_message(
            ANA, "Well?", buttons=p.FlowButton("Open", flow_name="sizes")
        ),
        "interactive",
        interactive(
            "flow",
            {"name": "flow", "parameters": {**FLOW, "flow_name": "sizes", "flow_token": None}},
        ),
    ),
    "catalogue": Case(
        lambda wa, m, f: wa.send_catalog(ANA, "Well?", "Foot", thumbnail_product_sku="aloe"),
        "interactive",
        interactive(
            "catalog_message",
            {
                "name": "catalog_message",
                "parameters": {"thumbnail_product_retailer_id": "aloe"},
            },
            footer={"text": "Foot"},
        ),
    ),
    "product": Case(
        lambda wa, m, f: wa.send_product(ANA, "7700", "aloe", "Well?", "Foot"),
        "interactive",
        interactive(
            "product",
            {"catalog_id": "7700", "product_retailer_id": "aloe"},
            footer={"text": "Foot"},
        ),
    ),
    "product without a word": Case(
        lambda wa, m, f: wa.send_product(ANA, "7700", "aloe"),
        "interactive",
        {"type": "product", "action": {"catalog_id": "7700", "product_retailer_id": "aloe"}},
    ),
    "products": Case(
        lambda wa, m, f: wa.send_products(
            ANA, "7700", [p.ProductsSection("Green", ["aloe", "fern"])], "Plants", "Well?"
        ),
        "interactive",
        interactive(
            "product_list",
            {
                "catalog_id": "7700",
                "sections": [
                    {
                        "title": "Green",
                        "product_items": [
                            {"product_retailer_id": "aloe"},
                            {"product_retailer_id": "fern"},
                        ],
                    }
                ],
            },
            header={"type": "text", "text": "Plants"},
        ),
    ),
    "carousel with quick replies": Case(
        lambda wa, m, f: wa.send_carousel(
            ANA,
            body="Well?",
            cards=[
                p.ImageCarouselCard(image=PICTURE, body="A", buttons=[p.Button("Take it", name)])
                for name in "ab"
            ],
        ),
        "interactive",
        interactive(
            "carousel",
            {
                "cards": [
                    {**CARD, "action": quick("a")},
                    {**CARD, "card_index": 1, "action": quick("b")},
                ]
            },
        ),
    ),
    "carousel with links": Case(
        lambda wa, m, f: wa.send_carousel(
            ANA,
            body="Well?",
            cards=[p.VideoCarouselCard(video=FILM, buttons=p.URLButton("Go", PAGE))] * 2,
        ),
        "interactive",
        interactive(
            "carousel",
            {
                "cards": [
                    {
                        "card_index": index,
                        "type": "cta_url",
                        "header": {"type": "video", "video": {"link": FILM}},
                        "action": {
                            "name": "cta_url",
                            "parameters": {"display_text": "Go", "url": PAGE},
                        },
                    }
                    for index in (0, 1)
                ]
            },
        ),
    ),
}
