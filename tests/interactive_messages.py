"""One interactive message of each kind and form as a model, by the name of its payload file."""

from __future__ import annotations

from switchboard.whatsapp.outbound import CheckedMessage, Context
from switchboard.whatsapp.outbound._media import Media
from switchboard.whatsapp.outbound.document import Document
from switchboard.whatsapp.outbound.interactive import (
    address_message,
    button,
    call_permission_request,
    carousel,
    catalog_message,
    cta_url,
    flow,
    location_request_message,
    order_details,
    order_status,
    product,
    product_list,
    request_contact_info,
    voice_call,
)
from switchboard.whatsapp.outbound.interactive import (
    list as lists,
)
from switchboard.whatsapp.outbound.interactive._parts import Body, Footer, Header, TextHeader

ANSWERED = Context(message_id="wamid.IN0001")
CATALOG = "880200000000001"


def _buttons(*replies: tuple[str, str]) -> button.ButtonAction:
    return button.ButtonAction(
        buttons=[
            button.Button(reply=button.ButtonReply(id=reply_id, title=title))
            for reply_id, title in replies
        ]
    )


def _film_card(index: int) -> carousel.MediaCard:
    reply = button.ButtonReply(id=f"like-{index}", title="Me gusta")
    return carousel.MediaCard(
        card_index=index,
        header=carousel.CardHeader(
            type="video", video=Media(link=f"https://img.example/t/{index}.mp4")
        ),
        body=carousel.CardBody(text=f"Pieza {index}"),
        action=carousel.CardAction(buttons=[carousel.QuickReply(quick_reply=reply)]),
    )


def _product_card(index: int, product_id: str) -> carousel.ProductCard:
    return carousel.ProductCard(
        card_index=index,
        type="product",
        action=carousel.CardProduct(product_retailer_id=product_id, catalog_id=CATALOG),
    )


def _products(title: str, *ids: str) -> product_list.ProductSection:
    items = [product_list.ProductItem(product_retailer_id=each) for each in ids]
    return product_list.ProductSection(title=title, product_items=items)


def _real(cents: int, **more: str) -> order_details.Amount:
    return order_details.Amount(value=cents, offset=100, **more)


MESSAGES: dict[str, CheckedMessage] = {
    "interactive_button": button.ButtonMessage(
        interactive=button.Buttons(
            header=Header(type="image", image=Media(id="770100000000901")),
            body=Body(text="¿Confirmamos su clase del sábado?"),
            footer=Footer(text="Taller Añil"),
            action=_buttons(
                ("class-41:yes", "Sí, confirmo"),
                ("class-41:later", "Otro día"),
                ("class-41:no", "Cancelar"),
            ),
        )
    ),
    "interactive_button_reply": button.ButtonMessage(
        interactive=button.Buttons(
            header=Header(
                type="document",
                document=Document(link="https://img.example/t/precios.pdf", filename="precios.pdf"),
            ),
            body=Body(text="¿Le aparto una?"),
            action=_buttons(("hold", "Apartar")),
        ),
        context=ANSWERED,
    ),
    "interactive_button_text_header": button.ButtonMessage(
        interactive=button.Buttons(
            header=Header(type="text", text="Su pedido", sub_text="Número 118"),
            body=Body(text="¿Lo envolvemos?"),
            action=_buttons(("wrap", "🎁 Envolver")),
        )
    ),
    "interactive_list": lists.ListMessage(
        interactive=lists.List(
            header=TextHeader(type="text", text="Clases de noviembre"),
            body=lists.ListBody(text="Elija un horario"),
            footer=Footer(text="Cupo de ocho personas"),
            action=lists.ListAction(
                button="Ver horarios",
                sections=[
                    lists.Section(
                        title="Torno",
                        rows=[
                            lists.Row(
                                id="wheel-sat-10",
                                title="Sábado 10:00",
                                description="Quedan 3 lugares",
                            ),
                            lists.Row(id="wheel-sun-12", title="Domingo 12:00"),
                        ],
                    ),
                    lists.Section(
                        title="Esmaltes",
                        rows=[
                            lists.Row(
                                id="glaze-fri-18",
                                title="Viernes 18:00",
                                description="Quedan 5 lugares",
                            )
                        ],
                    ),
                ],
            ),
        )
    ),
    "interactive_list_one_section": lists.ListMessage(
        interactive=lists.List(
            body=lists.ListBody(text="¿Qué color?"),
            action=lists.ListAction(
                button="Colores",
                sections=[
                    lists.Section(
                        rows=[
                            lists.Row(id="blue", title="Azul"),
                            lists.Row(id="green", title="Verde"),
                        ]
                    )
                ],
            ),
        ),
        context=ANSWERED,
    ),
    "interactive_cta_url": cta_url.CtaUrlMessage(
        interactive=cta_url.CtaUrl(
            header=Header(type="video", video=Media(id="770100000000902")),
            body=Body(text="El horno, en directo"),
            footer=Footer(text="Hasta las 20 h"),
            action=cta_url.UrlAction(
                parameters=cta_url.UrlButton(
                    display_text="Mirar el horno", url="https://taller.example/horno?de=whatsapp"
                )
            ),
        )
    ),
    "interactive_location_request_message": location_request_message.LocationRequestMessage(
        interactive=location_request_message.LocationRequest(
            body=Body(text="¿A dónde enviamos su taza?"),
            action=location_request_message.SendLocation(),
        )
    ),
    "interactive_call_permission_request": call_permission_request.CallPermissionRequestMessage(
        interactive=call_permission_request.CallPermissionRequest(
            body=Body(text="¿Podemos llamarle por su pedido 118?"),
            action=call_permission_request.AskPermission(),
        )
    ),
    "interactive_call_permission_request_bare": (
        call_permission_request.CallPermissionRequestMessage(
            interactive=call_permission_request.CallPermissionRequest(
                action=call_permission_request.AskPermission()
            )
        )
    ),
    "interactive_voice_call": voice_call.VoiceCallMessage(
        interactive=voice_call.VoiceCall(
            body=Body(text="Llámenos cuando guste"),
            action=voice_call.CallAction(
                parameters=voice_call.CallButton(
                    display_text="Llamar al taller", ttl_minutes=1440, payload="order-118"
                )
            ),
        )
    ),
    "interactive_voice_call_bare": voice_call.VoiceCallMessage(
        interactive=voice_call.VoiceCall(body=Body(text="Llámenos"), action=voice_call.CallAction())
    ),
    "interactive_product": product.ProductMessage(
        interactive=product.Product(
            body=Body(text="Esta es la taza que buscaba"),
            footer=Footer(text="Hecha a mano"),
            action=product.ProductAction(catalog_id=CATALOG, product_retailer_id="taza-azul-300"),
        )
    ),
    "interactive_product_list": product_list.ProductListMessage(
        interactive=product_list.ProductList(
            header=TextHeader(type="text", text="Para su cocina"),
            body=Body(text="Lo que hay en el taller hoy"),
            footer=Footer(text="Precios con impuestos"),
            action=product_list.ProductListAction(
                catalog_id=CATALOG,
                sections=[
                    _products("Tazas", "taza-azul-300", "taza-verde-300"),
                    _products("Platos", "plato-22"),
                ],
            ),
        )
    ),
    "interactive_catalog_message": catalog_message.CatalogMessage(
        interactive=catalog_message.Catalog(
            body=Body(text="Todo lo que hacemos"),
            footer=Footer(text="Envíos a todo el país"),
            action=catalog_message.CatalogAction(
                parameters=catalog_message.Thumbnail(thumbnail_product_retailer_id="plato-22")
            ),
        )
    ),
    "interactive_flow": flow.FlowMessage(
        interactive=flow.Flow(
            header=Header(type="text", text="Inscripción"),
            body=Body(text="Son tres preguntas"),
            footer=Footer(text="Un minuto"),
            action=flow.FlowAction(
                parameters=flow.FlowParameters(
                    flow_message_version="3",
                    flow_id="660100000000001",
                    flow_cta="Inscribirme",
                    flow_token="f-5f0c2f6b",
                    mode="published",
                    flow_action="navigate",
                    flow_action_payload=flow.FirstScreen(
                        screen="START", data={"name": "Ana", "seats": 2, "notes": None}
                    ),
                )
            ),
        )
    ),
    "interactive_flow_by_name": flow.FlowMessage(
        interactive=flow.Flow(
            body=Body(text="Su opinión"),
            action=flow.FlowAction(
                parameters=flow.FlowParameters(
                    flow_message_version="3",
                    flow_name="opinion_taller",
                    flow_cta="Opinar",
                    flow_action="data_exchange",
                )
            ),
        )
    ),
    "interactive_address_message": address_message.AddressRequestMessage(
        interactive=address_message.AddressRequest(
            body=Body(text="Where shall we send your cup?"),
            footer=Footer(text="India only"),
            action=address_message.AddressAction(
                parameters=address_message.AddressParameters(
                    country="IN",
                    values={"name": "Asha Rao", "in_pin_code": "666666"},
                    saved_addresses=[
                        address_message.SavedAddress(
                            id="home",
                            value={
                                "name": "Asha Rao",
                                "in_pin_code": "400063",
                                "city": "Mumbai",
                                "building_name": "",
                            },
                        )
                    ],
                    validation_errors={"in_pin_code": "We could not find this pin code."},
                )
            ),
        )
    ),
    "interactive_request_contact_info": request_contact_info.ContactInfoRequestMessage(
        interactive=request_contact_info.ContactInfoRequest(
            body=Body(text="¿A qué número le llamamos?"),
            action=request_contact_info.AskContactInfo(),
        )
    ),
    "interactive_carousel": carousel.CarouselMessage(
        interactive=carousel.Carousel(
            body=Body(text="Tres piezas de esta semana"),
            action=carousel.CarouselAction(
                cards=[
                    carousel.MediaCard(
                        card_index=0,
                        header=carousel.CardHeader(
                            type="image", image=Media(link="https://img.example/t/1.jpg")
                        ),
                        body=carousel.CardBody(text="Taza azul\n300 ml\nlista"),
                        action=carousel.CardAction(
                            name="cta_url",
                            parameters=cta_url.UrlButton(
                                display_text="Ver la taza", url="https://taller.example/1"
                            ),
                        ),
                    ),
                    carousel.MediaCard(
                        card_index=1,
                        header=carousel.CardHeader(type="image", image=Media(id="770100000000906")),
                        action=carousel.CardAction(
                            name="cta_url",
                            parameters=cta_url.UrlButton(
                                display_text="Ver el plato", url="https://taller.example/2"
                            ),
                        ),
                    ),
                ]
            ),
        )
    ),
    "interactive_carousel_quick_replies": carousel.CarouselMessage(
        interactive=carousel.Carousel(
            body=Body(text="¿Cuál le gusta?"),
            action=carousel.CarouselAction(cards=[_film_card(0), _film_card(1)]),
        )
    ),
    "interactive_carousel_products": carousel.CarouselMessage(
        interactive=carousel.Carousel(
            body=Body(text="Del catálogo"),
            action=carousel.CarouselAction(
                cards=[_product_card(0, "taza-azul-300"), _product_card(1, "plato-22")]
            ),
        )
    ),
    "interactive_order_details": order_details.OrderDetailsMessage(
        interactive=order_details.OrderDetails(
            header=Header(type="image", image=Media(id="770100000000901")),
            body=Body(text="Sua conta"),
            footer=Footer(text="Ateliê Anil"),
            action=order_details.OrderDetailsAction(
                parameters=order_details.OrderDetailsParameters(
                    reference_id="order-118.1",
                    type="physical-goods",
                    payment_type="br",
                    payment_settings=[
                        {
                            "type": "payment_link",
                            "payment_link": {"uri": "https://pago.example/118"},
                        }
                    ],
                    currency="BRL",
                    total_amount=_real(21000),
                    order=order_details.Order(
                        status="pending",
                        items=[
                            order_details.OrderItem(
                                name="Xícara azul",
                                amount=_real(10000),
                                quantity=2,
                                retailer_id="taza-azul-300",
                            )
                        ],
                        subtotal=_real(20000),
                        shipping=_real(1000, description="Correio"),
                        expiration=order_details.Expiration(
                            timestamp="1790086400",
                            description="Depois disso a peça volta à loja",
                        ),
                    ),
                )
            ),
        )
    ),
    "interactive_order_details_short": order_details.OrderDetailsMessage(
        interactive=order_details.OrderDetails(
            body=Body(text="Sua conta"),
            action=order_details.OrderDetailsAction(
                parameters=order_details.OrderDetailsParameters(
                    reference_id="order-119",
                    type="digital-goods",
                    payment_type="br",
                    payment_settings=[
                        {
                            "type": "pix_static_code",
                            "pix_static_code": {
                                "merchant_name": "Ateliê Anil",
                                "key": "atelie@taller.example",
                                "key_type": "EMAIL",
                            },
                        }
                    ],
                    currency="BRL",
                    total_amount=_real(5000),
                )
            ),
        )
    ),
    "interactive_order_status": order_status.OrderStatusMessage(
        interactive=order_status.OrderStatus(
            body=Body(text="Seu pedido saiu"),
            action=order_status.OrderStatusAction(
                parameters=order_status.OrderStatusParameters(
                    reference_id="order-118.1",
                    order=order_status.NewStatus(
                        status="shipped", description="Correio, dois dias"
                    ),
                )
            ),
        )
    ),
}
