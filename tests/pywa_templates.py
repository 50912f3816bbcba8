"""Templates with every kind of parameter that pywa has: definitions, parameters, what is sent.

Not here, since pywa itself cannot: an amount or a time as a named parameter (it forgets the name).
It checks parameters against the definition before it sends, except for codes: there it finds no
parameter for the button that has one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from pywa.types import ProductsSection
from pywa.types import templates as t

from tests.pywa_client import PICTURE, Json

PAPER = "https://img.example/a.pdf"
CLIP = "https://img.example/a.mp4"
SHOP = "https://shop.example/"
ENDS = datetime(2030, 1, 2, tzinfo=UTC)
WORDS = t.BodyText("Here it is.")


class Case(NamedTuple):
    """What is made and sent, and the components that Meta gets; FILE is the id of an upload."""

    parts: list[t.TemplateBaseComponent]
    params: list[t.BaseParams] | None
    components: list[Json] | None
    category: t.TemplateCategory = t.TemplateCategory.MARKETING
    named: bool = False
    is_checked: bool = True

    def template(
        self, name: str, language: t.TemplateLanguage = t.TemplateLanguage.ENGLISH_US
    ) -> t.Template:
        """The definition, as pywa makes it."""
        return t.Template(
            name=name,
            language=language,
            category=self.category,
            components=[*self.parts],
            parameter_format=t.ParamFormat.NAMED if self.named else None,
        )


def link(index: int = 0) -> Json:
    parameters = [{"type": "text", "text": "aloe"}]
    return {"type": "button", "sub_type": "URL", "index": index, "parameters": parameters}


def button(kind: str, parameter: Json, index: int = 0) -> Json:
    return {"type": "button", "sub_type": kind, "index": index, "parameters": [parameter]}


def action(kind: str, what: Json) -> Json:
    return button(kind, {"type": "action", "action": what})


def header(kind: str, content: Any, **name: str) -> Json:
    return {"type": "HEADER", "parameters": [{"type": kind, kind: content, **name}]}


def buttons(*them: t.BaseButtonComponent) -> t.Buttons:
    return t.Buttons(buttons=[*them])


def leading() -> t.URLButton:
    """A button with a variable address."""
    return t.URLButton(text="Go", url=SHOP + "{{1}}", example=SHOP + "fern")


def words(part: type[t.HeaderText | t.BodyText], *positions: object, **names: str) -> t.BaseParams:
    """Fill a text: by pywa's annotations its first value is the part itself."""
    fill: Any = part.params
    filled: t.BaseParams = fill(*positions, **names)
    return filled


def card() -> t.CarouselCard:
    return t.CarouselCard(
        components=[
            t.HeaderImage(b"sample", mime_type="image/png"),
            t.BodyText("It is {{1}} off now.", "5%"),
            buttons(t.QuickReplyButton(text="Take it"), leading()),
        ]
    )


def card_params(index: int) -> t.BaseParams:
    return t.CarouselCard.params(
        index=index,
        params=[
            t.HeaderImage.params(image=PICTURE),
            words(t.BodyText, "9%"),
            t.QuickReplyButton.params(callback_data=f"take-{index}", index=0),
            t.URLButton.params(url_variable="aloe", index=1),
        ],
    )


def sent_card(index: int) -> Json:
    return {
        "card_index": index,
        "components": [
            header("image", {"link": PICTURE}),
            {"type": "BODY", "parameters": [{"type": "text", "text": "9%"}]},
            button("QUICK_REPLY", {"type": "payload", "payload": f"take-{index}"}),
            link(1),
        ],
    }


CODE = {"type": "text", "text": "123456"}
CASES: dict[str, Case] = {
    "positions": Case(
        [
            t.HeaderText("For {{1}} only", "Ben"),
            t.BodyText("Dear {{1}}, pay {{2}} until {{3}} in our shop.", "Ben", "$1", "noon"),
            t.FooterText(text="Casa Verde"),
            buttons(
                t.QuickReplyButton(text="Yes"),
                leading(),
                t.PhoneNumberButton(text="Ring", phone_number="+15550001111"),
                t.CopyCodeButton(example="PLANT5"),
            ),
        ],
        [
            words(t.HeaderText, "Ana"),
            words(
                t.BodyText,
                "Ana",
                t.Currency(fallback_value="9 USD", code="USD", amount_1000=9000),
                t.DateTime(fallback_value="4 May"),
            ),
            t.QuickReplyButton.params(callback_data="yes", index=0),
            t.URLButton.params(url_variable="aloe", index=1),
            t.CopyCodeButton.params(coupon_code="PLANT9", index=3),
        ],
        [
            header("text", "Ana"),
            {
                "type": "BODY",
                "parameters": [
                    {"type": "text", "text": "Ana"},
                    {
                        "type": "currency",
                        "currency": {"fallback_value": "9 USD", "code": "USD", "amount_1000": 9000},
                    },
                    {"type": "date_time", "date_time": {"fallback_value": "4 May"}},
                ],
            },
            button("QUICK_REPLY", {"type": "payload", "payload": "yes"}),
            link(1),
            button("COPY_CODE", {"type": "coupon_code", "coupon_code": "PLANT9"}, 3),
        ],
    ),
    "names": Case(
        [
            t.HeaderText("For {{who}} only", who="Ben"),
            t.BodyText("Dear {{who}}, your {{what}} came in today.", who="Ben", what="fern"),
        ],
        [words(t.HeaderText, who="Ana"), words(t.BodyText, who="Ana", what="aloe")],
        [
            header("text", "Ana", parameter_name="who"),
            {
                "type": "BODY",
                "parameters": [
                    {"type": "text", "text": "Ana", "parameter_name": "who"},
                    {"type": "text", "text": "aloe", "parameter_name": "what"},
                ],
            },
        ],
        category=t.TemplateCategory.UTILITY,
        named=True,
    ),
    "image": Case(
        [t.HeaderImage(b"sample", mime_type="image/png"), WORDS],
        [t.HeaderImage.params(image=PICTURE)],
        [header("image", {"link": PICTURE})],
    ),
    "uploaded_video": Case(
        [t.HeaderVideo(b"sample", mime_type="video/mp4"), WORDS],
        [t.HeaderVideo.params(video=b"film", mime_type="video/mp4")],
        [header("video", {"id": "FILE"})],
    ),
    "document": Case(
        [t.HeaderDocument(b"sample", mime_type="application/pdf"), WORDS],
        [t.HeaderDocument.params(document=PAPER, filename="bill.pdf")],
        [header("document", {"link": PAPER, "filename": "bill.pdf"})],
    ),
    "gif": Case(
        [t.HeaderGIF(b"sample", mime_type="video/mp4"), WORDS],
        [t.HeaderGIF.params(gif=CLIP)],
        [header("gif", {"link": CLIP})],
    ),
    "place": Case(
        [t.HeaderLocation(), WORDS],
        [t.HeaderLocation.params(lat=19.43, lon=-99.13, name="Zócalo", address="Centro")],
        [
            header(
                "location",
                {"latitude": 19.43, "longitude": -99.13, "name": "Zócalo", "address": "Centro"},
            )
        ],
    ),
    "product": Case(
        [t.HeaderProduct(), WORDS, buttons(t.SPMButton(text="View"))],
        [t.HeaderProduct.params(catalog_id="7700", sku="aloe")],
        [header("product", {"catalog_id": "7700", "product_retailer_id": "aloe"})],
    ),
    "offer": Case(
        [
            t.LimitedTimeOffer(text="Only now", has_expiration=True),
            WORDS,
            buttons(t.CopyCodeButton(example="PLANT5"), leading()),
        ],
        [
            t.LimitedTimeOffer.params(expiration_time=ENDS),
            t.CopyCodeButton.params(coupon_code="PLANT9", index=0),
            t.URLButton.params(url_variable="aloe", index=1),
        ],
        [
            {
                "type": "LIMITED_TIME_OFFER",
                "parameters": [
                    {
                        "type": "limited_time_offer",
                        # pywa writes seconds; Meta reads milliseconds.
                        "limited_time_offer": {"expiration_time_ms": int(ENDS.timestamp())},
                    }
                ],
            },
            button("COPY_CODE", {"type": "coupon_code", "coupon_code": "PLANT9"}),
            link(1),
        ],
    ),
    "catalogue": Case(
        [WORDS, buttons(t.CatalogButton(text="See all"))],
        [t.CatalogButton.params(thumbnail_product_sku="aloe", index=0)],
        [action("CATALOG", {"thumbnail_product_retailer_id": "aloe"})],
    ),
    "bare_catalogue": Case(
        [WORDS, buttons(t.CatalogButton(text="See all"))],
        [t.CatalogButton.params(index=0)],
        [{"type": "button", "sub_type": "CATALOG", "index": 0}],
    ),
    "products": Case(
        [WORDS, buttons(t.MPMButton(text="See them"))],
        [
            t.MPMButton.params(
                product_sections=[ProductsSection("Green", ["aloe"])],
                thumbnail_product_sku="aloe",
                index=0,
            )
        ],
        [
            action(
                "MPM",
                {
                    "thumbnail_product_retailer_id": "aloe",
                    "sections": [
                        {"title": "Green", "product_items": [{"product_retailer_id": "aloe"}]}
                    ],
                },
            )
        ],
    ),
    "form": Case(
        [WORDS, buttons(t.FlowButton(text="Open", flow_id="6600", navigate_screen="SIZE"))],
        [t.FlowButton.params(index=0, flow_token="t-1", flow_action_data={"name": "Ana"})],
        [action("FLOW", {"flow_token": "t-1", "flow_action_data": {"name": "Ana"}})],
    ),
    "code": Case(
        [
            t.AuthenticationBody(add_security_recommendation=True),
            t.AuthenticationFooter(code_expiration_minutes=5),
            buttons(t.CopyCodeOTPButton()),
        ],
        [t.AuthenticationBody.params(otp="123456"), t.CopyCodeOTPButton.params(otp="123456")],
        [{"type": "BODY", "parameters": [CODE]}, button("URL", CODE)],
        category=t.TemplateCategory.AUTHENTICATION,
        is_checked=False,
    ),
    "call_button": Case([WORDS, buttons(t.VoiceCallButton(text="Ring us"))], None, None),
    "leave_to_call": Case([WORDS, t.CallPermissionRequestButton()], None, None),
    "share_a_number": Case([WORDS, buttons(t.ContactInfoRequestButton())], None, None),
    "tapped_picture": Case(
        [
            t.HeaderImage(b"sample", mime_type="image/png"),
            WORDS,
            buttons(t.URLButton(text="Go", url=SHOP)),
        ],
        [t.HeaderImage.params(image=PICTURE), t.TapTargetConfiguration("The shop", SHOP)],
        [
            header("image", {"link": PICTURE}),
            {
                "type": "tap_target_configuration",
                "parameters": [
                    {
                        "type": "tap_target_configuration",
                        "tap_target_configuration": [{"url": SHOP, "title": "The shop"}],
                    }
                ],
            },
        ],
    ),
    "carousel": Case(
        [WORDS, t.Carousel(cards=[card(), card()])],
        [t.Carousel.params(cards=[card_params(0), card_params(1)])],  # type: ignore[list-item]
        [{"type": "carousel", "cards": [sent_card(0), sent_card(1)]}],
    ),
}
