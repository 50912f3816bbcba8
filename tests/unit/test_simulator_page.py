"""The phone page in a real browser: what a person sees and can do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Route, expect

from tests.simulator_run import FIRST, THIRD, Simulator, wait_until

Json = dict[str, Any]


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained about: errors, refused sources, requests to other hosts."""
    return []


@pytest.fixture
def page(meta: Simulator, chromium: Browser, complaints: list[str]) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.set_default_timeout(10_000)

    def said(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    def asked(request: Request) -> None:
        if not request.url.startswith((meta.url, "data:", "blob:")):
            complaints.append(request.url)

    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", said)
    page.on("request", asked)
    page.goto(meta.url)
    expect(page.locator("#wire-text")).to_have_text("live")
    expect(page.locator(".contact")).to_have_count(5)
    yield page
    context.close()
    assert complaints == []


def question() -> Json:
    reply = [{"id": "eight", "title": "20:00"}, {"id": "half", "title": "21:30"}]
    return {
        "type": "interactive",
        "interactive": {
            "type": "button",
            "body": {"text": "When shall we expect you?"},
            "action": {"buttons": [{"type": "reply", "reply": r} for r in reply]},
        },
    }


def mark_read(meta: Simulator, message_id: str, **more: Any) -> None:
    """The business reads a message (and types, if told so)."""
    answer = meta.send(body={"status": "read", "message_id": message_id, **more})
    assert answer.json() == {"success": True}


#: Whatever was to be drawn is drawn in the first.
TWO_FRAMES = "() => new Promise((end) => requestAnimationFrame(() => requestAnimationFrame(end)))"


def last(page: Page, author: str) -> Any:
    return page.locator(f".line.{author}").last


def test_a_typed_message_leaves_as_webhook_and_its_ticks_turn_blue(
    meta: Simulator, page: Page
) -> None:
    page.get_by_label("Message", exact=True).fill("Is there a table?")
    page.keyboard.press("Enter")
    expect(last(page, "person")).to_have_attribute("data-state", "delivered")
    expect(page.get_by_label("Message", exact=True)).to_have_value("")
    (message,) = meta.backend.messages()
    assert message["text"] == {"body": "Is there a table?"}
    mark_read(meta, message["id"], typing_indicator={"type": "text"})
    expect(last(page, "person").locator(".ticks.read")).to_be_visible()
    expect(page.locator("#typing")).to_be_visible()
    meta.sent(body={"type": "reaction", "reaction": {"message_id": message["id"], "emoji": "👍"}})
    expect(last(page, "person").locator(".reactions")).to_have_text("👍")
    meta.sent()
    expect(last(page, "business")).to_contain_text("hello")
    expect(page.locator("#typing")).to_be_hidden()


def test_a_reply_in_the_open_chat_is_read_at_once(meta: Simulator, page: Page) -> None:
    wamid = meta.sent()
    expect(last(page, "business").locator(".ticks.read")).to_be_visible()
    wait_until(lambda: meta.backend.words(wamid) == ["sent", "delivered", "read"])


def test_a_reply_in_another_chat_waits_unread_until_it_is_opened(
    meta: Simulator, page: Page
) -> None:
    wamid = meta.sent("447700900142")
    ben = page.locator(".contact", has_text="Ben Whitfield")
    expect(ben.locator(".count")).to_have_text("1")
    wait_until(lambda: meta.backend.words(wamid) == ["sent", "delivered"])
    ben.click()
    expect(last(page, "business").locator(".ticks.read")).to_be_visible()
    expect(ben.locator(".count")).to_have_count(0)
    wait_until(lambda: meta.backend.words(wamid)[-1] == "read")


def test_a_button_is_tapped_once_and_stays_chosen(meta: Simulator, page: Page) -> None:
    wamid = meta.sent(body=question())
    page.get_by_role("button", name="20:00").click()
    expect(last(page, "person")).to_contain_text("When shall we expect you?")
    expect(page.locator("button.choice.chosen")).to_have_text("20:00")
    expect(page.get_by_role("button", name="21:30")).to_be_disabled()
    wait_until(meta.backend.messages)
    (message,) = meta.backend.messages()
    assert message["context"]["id"] == wamid
    assert message["interactive"]["button_reply"] == {"id": "eight", "title": "20:00"}


def test_what_comes_while_a_button_is_held_down_waits_until_it_is_lifted(
    meta: Simulator, page: Page
) -> None:
    """A status draws the message anew, another message pushes it away: either loses the tap."""
    seen: list[Route] = []

    def hold(route: Route) -> None:
        seen.append(route)

    page.route("**/seen", hold)
    told = page.locator("#log .entry")
    meta.sent(body=question())
    expect(last(page, "business")).to_have_attribute("data-state", "delivered")
    page.get_by_role("button", name="20:00").hover()
    page.mouse.down()
    seen[0].continue_()
    meta.sent()
    expect(told.filter(has_text="status read")).to_have_count(1)
    expect(told.filter(has_text="status delivered")).to_have_count(2)
    page.evaluate(TWO_FRAMES)
    assert page.locator(".line.business").count() == 1
    assert last(page, "business").get_attribute("data-state") == "delivered"
    page.mouse.up()
    expect(page.locator("button.choice.chosen")).to_have_text("20:00")
    expect(page.locator(".line.business").first).to_have_attribute("data-state", "read")
    expect(page.locator(".line.business")).to_have_count(2)
    wait_until(meta.backend.messages)
    (message,) = meta.backend.messages()
    assert message["interactive"]["button_reply"]["id"] == "eight"
    page.unroute_all(behavior="ignoreErrors")


def test_a_finger_that_leaves_the_window_holds_nothing_back(meta: Simulator, page: Page) -> None:
    meta.sent()
    expect(last(page, "business").locator(".ticks.read")).to_be_visible()
    last(page, "business").hover()
    page.mouse.down()
    page.evaluate("window.dispatchEvent(new Event('blur'))")
    meta.sent()
    expect(page.locator(".line.business .ticks.read")).to_have_count(2)


def test_a_row_is_chosen_from_a_list(meta: Simulator, page: Page) -> None:
    row = {"id": "candles", "title": "Candles", "description": "Included"}
    sections = [{"title": "Table", "rows": [row, {"id": "flowers", "title": "Flowers"}]}]
    action = {"button": "Extras", "sections": sections}
    content = {"type": "list", "body": {"text": "Anything else?"}, "action": action}
    meta.sent(body={"type": "interactive", "interactive": content})
    page.get_by_role("button", name="Extras").click()
    page.get_by_role("dialog").get_by_text("Candles").click()
    expect(last(page, "person")).to_contain_text("Candles")
    wait_until(meta.backend.messages)
    assert meta.backend.messages()[0]["interactive"]["list_reply"] == row


OUTBOUND = Path(__file__).resolve().parents[1] / "payloads" / "outbound"
#: What of each message a person reads on the phone.
SHOWN: dict[str, list[str]] = {
    "image": ["La taza azul"],
    "video": ["Video", "Así se esmalta una taza"],
    "video_link_reply": ["https://img.example/t/torno.mp4"],
    "audio": ["Audio"],
    "audio_voice_note": ["https://img.example/t/saludo.ogg"],
    "document": ["factura-añil-10.pdf", "Su factura de octubre"],
    "sticker_link_reply": ["https://img.example/t/gracias.webp"],
    "location": ["Taller Añil", "Calle de los Alfareros 9"],
    "contacts": ["Dra. Lía M. Quiroga", "+52 1 55 5010 0399", "Maestra, Taller Añil", "Beto"],
    "interactive_button": ["¿Confirmamos su clase", "Taller Añil", "Sí, confirmo", "Cancelar"],
    "interactive_button_reply": ["precios.pdf", "Apartar"],
    "interactive_button_text_header": ["Su pedido", "Número 118", "🎁 Envolver"],
    "interactive_list": ["Clases de noviembre", "Elija un horario", "Cupo", "Ver horarios"],
    "interactive_cta_url": ["Video", "El horno, en directo", "Mirar el horno"],
    "interactive_location_request_message": ["¿A dónde enviamos su taza?", "Send location"],
    "interactive_call_permission_request": ["por su pedido 118?", "Always allow calls"],
    "interactive_call_permission_request_bare": ["May we call you?", "Do not allow calls"],
    "interactive_voice_call": ["Llámenos cuando guste", "Llamar al taller"],
    "interactive_voice_call_bare": ["Llámenos", "Call now"],
    "interactive_product": ["taza-azul-300", "Hecha a mano", "View"],
    "interactive_product_list": [
        "Para su cocina",
        "Tazas",
        "taza-verde-300",
        "Platos",
        "View items",
    ],
    "interactive_catalog_message": ["Todo lo que hacemos", "plato-22", "View catalog"],
    "interactive_flow": ["Inscripción", "Son tres preguntas", "Inscribirme"],
    "interactive_address_message": ["Where shall we send your cup?", "Provide address"],
    "interactive_request_contact_info": ["¿A qué número le llamamos?", "Share my number"],
    "interactive_carousel": ["Tres piezas", "300 ml", "Ver la taza", "Ver el plato"],
    "interactive_carousel_quick_replies": ["¿Cuál le gusta?", "Pieza 1", "Me gusta"],
    "interactive_carousel_products": ["Del catálogo", "taza-azul-300", "plato-22"],
    "interactive_order_details": ["2 × Xícara azul", "100.00 BRL", "Correio", "210.00 BRL"],
    "interactive_order_details_short": ["order-119", "50.00 BRL", "Review and pay"],
    "interactive_order_status": ["Seu pedido saiu", "shipped", "Correio, dois dias"],
}


def test_every_kind_of_message_can_be_read(meta: Simulator, page: Page) -> None:
    meta.faults(pair_limit=False)
    for name, words in SHOWN.items():
        body = json.loads((OUTBOUND / f"{name}.json").read_bytes())
        meta.upload_files_of(body)
        content = {key: body[key] for key in ("type", body["type"])}
        if "call_permission_request" in name:
            meta.clock.ahead += 86_401  # one in 24 hours
        wamid = meta.sent(body=content)
        line = page.locator(f'.line[data-id="{wamid}"]')
        for word in words:
            expect(line).to_contain_text(word)
        # Nothing is left to be read as JSON, and nothing pushes the phone aside.
        expect(line.locator("pre")).to_have_count(0)
    assert not page.evaluate("() => document.documentElement.scrollWidth > innerWidth")
    chat = page.locator("#chat")
    assert chat.evaluate("chat => chat.scrollWidth <= chat.clientWidth")


def test_a_request_to_call_is_answered_and_answered_again(meta: Simulator, page: Page) -> None:
    content = {"type": "call_permission_request", "action": {"name": "call_permission_request"}}
    wamid = meta.sent(body={"type": "interactive", "interactive": content})
    for label, shown in (
        ("Allow calls for a week", "Calls allowed for a week"),
        ("Do not allow calls", "Calls not allowed"),
        ("Always allow calls", "Calls always allowed"),
    ):
        page.get_by_role("button", name=label).click()
        expect(last(page, "person")).to_contain_text(shown)
        expect(page.locator("button.choice.chosen")).to_have_text(label)
    wait_until(lambda: len(meta.backend.messages()) == 3)
    replies = [message["interactive"] for message in meta.backend.messages()]
    assert [each["call_permission_reply"]["response"] for each in replies] == [
        "accept",
        "reject",
        "accept",
    ]
    assert {message["context"]["id"] for message in meta.backend.messages()} == {wamid}


def test_a_place_and_a_number_are_shared_when_asked_for(meta: Simulator, page: Page) -> None:
    asked = {
        "location_request_message": "send_location",
        "request_contact_info": "request_contact_info",
    }
    for kind, name in asked.items():
        content = {"type": kind, "body": {"text": "Please"}, "action": {"name": name}}
        meta.sent(body={"type": "interactive", "interactive": content})
    page.get_by_role("button", name="Send location").click()
    page.get_by_role("button", name="Share", exact=True).click()
    page.get_by_role("button", name="Share my number").click()
    expect(last(page, "person")).to_contain_text("+525550001234")
    expect(page.get_by_role("button", name="Share my number")).to_be_disabled()
    wait_until(lambda: len(meta.backend.messages()) == 2)
    place, number = meta.backend.messages()
    assert place["type"] == "location"
    assert number["contacts"][0]["origin"] == "contact_request"
    assert place["context"]["id"] != number["context"]["id"]


def test_a_button_of_a_card_is_tapped_once(meta: Simulator, page: Page) -> None:
    body = json.loads((OUTBOUND / "interactive_carousel_quick_replies.json").read_bytes())
    meta.sent(body={key: body[key] for key in ("type", "interactive")})
    choices = page.locator("button.choice")
    choices.nth(1).click()
    expect(last(page, "person")).to_contain_text("Me gusta")
    expect(page.locator("button.choice.chosen")).to_have_count(1)
    expect(choices.first).to_be_disabled()
    wait_until(meta.backend.messages)
    assert meta.backend.messages()[0]["interactive"]["button_reply"]["id"] == "like-1"


def test_a_location_and_a_picture_are_shared(meta: Simulator, page: Page) -> None:
    page.get_by_role("button", name="Attach").click()
    page.get_by_role("button", name="Location").click()
    page.get_by_role("button", name="South Bank, London").click()
    page.get_by_role("button", name="Share", exact=True).click()
    expect(last(page, "person")).to_contain_text("South Bank, London")
    page.get_by_role("button", name="Attach").click()
    page.get_by_role("button", name="Sample picture").click()
    photo = last(page, "person").locator("img.photo")
    expect(photo).to_be_visible()
    page.wait_for_function(
        "() => [...document.images].every((image) => image.complete && image.naturalWidth > 0)"
    )
    wait_until(lambda: len(meta.backend.messages()) == 2)
    place, picture = meta.backend.messages()
    assert place["location"]["latitude"] == 51.5055
    assert picture["image"]["mime_type"] == "image/jpeg"


def test_reacting_and_taking_it_back(meta: Simulator, page: Page) -> None:
    wamid = meta.sent()
    line = last(page, "business")
    expect(line).to_have_attribute("data-state", "read")
    for expected in ("❤️", None):
        line.hover()
        line.get_by_role("button", name="React").click()
        line.get_by_role("button", name="❤️").click()
        expect(line.locator(".reactions")).to_have_count(1 if expected else 0)
    wait_until(lambda: len(meta.backend.messages()) == 2)
    given, taken = meta.backend.messages()
    assert given["reaction"] == {"message_id": wamid, "emoji": "❤️"}
    assert taken["reaction"] == {"message_id": wamid}


def test_replying_quotes_the_message(meta: Simulator, page: Page) -> None:
    wamid = meta.sent()
    line = last(page, "business")
    line.hover()
    line.get_by_role("button", name="Reply").click()
    expect(page.locator("#quoting-text")).to_have_text("hello")
    page.keyboard.type("hello to you")
    page.keyboard.press("Enter")
    expect(last(page, "person").locator(".quoted")).to_contain_text("hello")
    expect(page.locator("#quoting")).to_be_hidden()
    wait_until(meta.backend.messages)
    assert meta.backend.messages()[0]["context"]["id"] == wamid


def test_everything_is_reached_by_keyboard(meta: Simulator, page: Page) -> None:
    meta.sent(body=question())
    expect(page.locator("button.choice")).to_have_count(2)
    page.locator(".contact").first.focus()
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "() => { const e = document.activeElement;"
                " return e.getAttribute('aria-label') || e.textContent.trim() || e.id }"
            )
        )
    assert {"React", "Reply", "20:00", "21:30", "Attach", "Send", "text"} <= reached
    page.get_by_role("button", name="21:30").focus()
    page.keyboard.press("Enter")
    expect(last(page, "person")).to_contain_text("21:30")


def test_what_others_write_is_never_read_as_html(meta: Simulator, page: Page) -> None:
    nasty = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    meta.play("ana", text=nasty)
    meta.sent(body={"type": "text", "text": {"body": nasty}})
    row = {"id": "r", "title": "<b>bold</b>", "description": "<i>x</i>"}
    action = {"button": "<u>Go</u>", "sections": [{"rows": [row]}]}
    content = {"type": "list", "body": {"text": nasty}, "action": action}
    meta.sent(body={"type": "interactive", "interactive": content})
    expect(page.locator(".bubble")).to_have_count(3)
    for text in page.locator(".bubble .content").all_inner_texts():
        assert text == nasty
    page.get_by_role("button", name="<u>Go</u>").click()
    expect(page.get_by_role("dialog").get_by_text("<b>bold</b>")).to_be_visible()
    assert page.locator(".bubble img, .bubble script, dialog i").count() == 0
    assert "owned" not in page.title()


def test_a_failed_message_is_shown_as_never_arrived(meta: Simulator, page: Page) -> None:
    meta.faults(failed_code=131026)
    meta.sent()
    expect(last(page, "business")).to_contain_text("Never arrived: Message undeliverable (131026)")


def test_the_log_shows_calls_and_webhooks_with_their_answers(meta: Simulator, page: Page) -> None:
    meta.backend.answers = [503]
    meta.play("ana", text="hi")
    refused = page.locator(".entry", has_text="message text").locator(".status.bad")
    expect(refused).to_have_text("503")
    meta.sent()
    sent = page.locator(".entry", has_text="send text")
    expect(sent.locator(".status")).to_have_text("200")
    sent.locator("summary").click()
    expect(sent.locator("pre")).to_contain_text("wamid.")


def test_the_switches_set_and_show_faults(meta: Simulator, page: Page) -> None:
    page.get_by_label("Sends", exact=True).select_option("throttled")
    page.get_by_label("Shuffled").check()
    page.locator(".chip", has_text="delivered").click()
    page.get_by_label("Extra copies of each").fill("2")
    page.keyboard.press("Tab")

    def moved() -> bool:
        now = meta.http.get("/simulator/faults").json()
        return (now["graph_fault"], now["reorder"], now["lost_statuses"], now["duplicate"]) == (
            "throttled",
            True,
            ["delivered"],
            2,
        )

    wait_until(moved)
    expect(page.locator(".field.moved")).to_have_count(4)
    page.get_by_role("button", name="Healthy again").click()
    expect(page.locator(".field.moved")).to_have_count(0)
    assert meta.http.get("/simulator/faults").json()["duplicate"] == 0


def test_a_person_talks_to_every_number(meta: Simulator, page: Page) -> None:
    page.locator(".contact", has_text="Mei Lin").click()
    page.get_by_label("Business number").select_option(THIRD.phone_number_id)
    page.get_by_label("Message", exact=True).fill("no number here")
    page.get_by_role("button", name="Send", exact=True).click()
    wait_until(meta.backend.messages)
    (value,) = meta.backend.values()
    assert value["metadata"]["phone_number_id"] == THIRD.phone_number_id
    assert "from" not in value["messages"][0]
    page.reload()
    expect(page.locator("#chat-about")).to_contain_text("Mei Lin")
    expect(last(page, "person")).to_contain_text("no number here")


def test_it_fits_a_phones_width(meta: Simulator, page: Page) -> None:
    meta.play("ana", text="word " * 60 + "x" * 300)
    page.set_viewport_size({"width": 360, "height": 640})
    wide = "() => document.documentElement.scrollWidth > innerWidth"
    for name in ("Activity", "Faults", "Phone"):
        page.get_by_role("button", name=re.compile(f"^{name}")).click()
        assert not page.evaluate(wide)
    for control in (page.get_by_label("Message", exact=True), page.locator(".send")):
        box = control.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
        assert box["y"] + box["height"] <= 640


@pytest.mark.parametrize("width", [1024, 1121, 1280, 1481])
def test_the_log_is_wide_enough_to_be_read(meta: Simulator, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 850})
    meta.play("ana", text="hi")
    meta.sent()
    whats = page.locator(".entry .what")
    expect(page.locator(".entry", has_text="message text")).to_have_count(1)
    assert not page.evaluate("() => document.documentElement.scrollWidth > innerWidth")
    for what in whats.all():
        clipped, lines = what.evaluate(
            "e => [e.scrollWidth > e.clientWidth,"
            " e.querySelector('small')?.getClientRects().length"
            " && e.querySelector('small').clientHeight"
            " / parseFloat(getComputedStyle(e.querySelector('small')).lineHeight)]"
        )
        assert not clipped
        assert (lines or 1) < 1.5


def test_a_template_is_decided_on_as_meta_does(meta: Simulator, page: Page) -> None:
    given = {
        "waba_id": FIRST.waba_id,
        "name": "table_kept",
        "language": "en_US",
        "category": "UTILITY",
        "components": [{"type": "BODY", "text": "Your table is kept."}],
    }
    meta.http.post("/simulator/templates", json=given).raise_for_status()
    try:
        page.get_by_label("Status of table_kept (en_US)").select_option("PAUSED")
        wait_until(lambda: [v for v in meta.backend.values() if v.get("event") == "PAUSED"])
        expect(page.get_by_label("Status of table_kept (en_US)")).to_have_value("PAUSED")
        page.get_by_label("Quality of table_kept (en_US)").select_option("RED")
        wait_until(lambda: [v for v in meta.backend.values() if v.get("new_quality_score")])
        # Another account's number, another account's templates.
        page.locator("#number").select_option(THIRD.phone_number_id)
        expect(page.locator("#templates")).to_have_text("This account has none yet.")
    finally:
        meta.http.delete("/simulator/templates").raise_for_status()


def test_the_page_allows_no_scripts_but_its_own(meta: Simulator, page: Page) -> None:
    policy = meta.http.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for path in ("/main.js", "/chat.css"):
        assert meta.http.get(path).headers["x-content-type-options"] == "nosniff"
    assert meta.http.get("/app.py").status_code == 404
    assert meta.http.get("/..%2fapp.py").status_code == 404
    assert FIRST.access_token not in meta.http.get("/simulator/state").text
