"""The phone page in a real browser: calls that ring on it, and products that are ordered on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.simulator_run import FIRST, Simulator, wait_until

Json = dict[str, Any]
SDP = "v=0\r\no=- 7 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"


@pytest.fixture
def page(meta: Simulator, chromium: Browser) -> Iterator[Page]:
    complaints: list[str] = []
    context = chromium.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(meta.url)
    expect(page.locator("#wire-text")).to_have_text("live")
    yield page
    context.close()
    assert complaints == []


def ask(meta: Simulator, **body: Any) -> str:
    """Ask Graph about a call as the first number; return the id of a new one."""
    answer = meta.http.post(
        f"/v23.0/{FIRST.phone_number_id}/calls",
        headers={"Authorization": f"Bearer {FIRST.access_token}"},
        json={"messaging_product": "whatsapp", **body},
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json().get("calls", [{}])[0].get("id"))


def ring(meta: Simulator) -> str:
    offer = {"sdp_type": "offer", "sdp": SDP}
    return ask(meta, action="connect", to="+525550001234", session=offer)


def parts(meta: Simulator) -> list[str]:
    values = meta.backend.values()
    found = [part for value in values for part in value.get("calls", [])]
    return [part["event"] for part in found]


def interactive(kind: str, action: Json, **more: Any) -> Json:
    content = {"type": kind, "body": {"text": "Look"}, "action": action, **more}
    return {"type": "interactive", "interactive": content}


def test_a_person_calls_by_the_button_of_the_chat_or_of_a_message(
    meta: Simulator, page: Page
) -> None:
    bar = page.get_by_role("status", name="Call")
    page.get_by_role("button", name="Call the business").click()
    expect(bar).to_contain_text("Calling Casa Verde")
    expect(page.get_by_role("button", name="Call the business")).to_be_disabled()
    (call,) = meta.http.get("/simulator/phone/ana/calls").json()["calls"]
    answer = {"sdp_type": "answer", "sdp": SDP}
    ask(meta, action="accept", call_id=call["id"], session=answer)
    expect(bar).to_contain_text("On the phone with Casa Verde")
    page.get_by_role("button", name="Hang up").click()
    expect(bar).to_be_hidden()
    wait_until(lambda: parts(meta) == ["connect", "terminate"])

    parameters = {"display_text": "Call the shop", "payload": "btn-7"}
    meta.sent(body=interactive("voice_call", {"name": "voice_call", "parameters": parameters}))
    page.get_by_role("button", name="Call the shop").click()
    expect(bar).to_contain_text("Calling Casa Verde")
    page.get_by_role("button", name="Nobody answers").click()
    expect(bar).to_be_hidden()
    newest = meta.http.get("/simulator/phone/ana/calls").json()["calls"][-1]
    assert (newest["payload"], newest["state"]) == ("btn-7", "missed")


def test_a_call_that_was_allowed_rings_and_is_taken_declined_or_missed(
    meta: Simulator, page: Page
) -> None:
    asked = {"type": "call_permission_request", "action": {"name": "call_permission_request"}}
    meta.sent(body={"type": "interactive", "interactive": asked})
    page.get_by_role("button", name="Allow calls for a week").click()
    wait_until(meta.backend.messages)
    bar = page.get_by_role("status", name="Call")
    ends = (("Accept", "completed"), ("Decline", "rejected"), ("Let it ring out", "missed"))
    for name, state in ends:
        ring(meta)
        expect(bar).to_contain_text("Casa Verde is calling")
        page.get_by_role("button", name=name, exact=True).click()
        if state == "completed":
            expect(bar).to_contain_text("On the phone")
            # Whoever looks again still sees it.
            page.reload()
            expect(bar).to_contain_text("On the phone")
            page.get_by_role("button", name="Hang up").click()
        expect(bar).to_be_hidden()
        assert meta.http.get("/simulator/phone/ana/calls").json()["calls"][-1]["state"] == state
    # Of another person's call this chat shows nothing.
    ring(meta)
    expect(bar).to_be_visible()
    page.locator(".contact", has_text="Ben Whitfield").click()
    expect(bar).to_be_hidden()


def test_products_are_ordered_and_asked_about(meta: Simulator, page: Page) -> None:
    items = [{"product_retailer_id": "sku-1"}, {"product_retailer_id": "sku-2"}]
    sections = [{"title": "All", "product_items": items}]
    header = {"type": "text", "text": "Ours"}
    action = {"catalog_id": "77", "sections": sections}
    meta.sent(body=interactive("product_list", action, header=header))
    page.get_by_role("button", name="View items").click()
    page.get_by_label("How many sku-2").fill("2")
    page.get_by_label("Note or question").fill("by Friday")
    page.get_by_role("button", name="Order", exact=True).click()
    newest = page.locator(".line.person").last
    expect(newest).to_contain_text("2 × sku-2")
    expect(newest).to_contain_text("by Friday")
    wait_until(meta.backend.messages)
    (order,) = meta.backend.messages()
    ordered = {
        one["product_retailer_id"]: one["quantity"] for one in order["order"]["product_items"]
    }
    assert ordered == {"sku-1": 1, "sku-2": 2}

    page.get_by_role("button", name="View items").click()
    page.get_by_role("button", name="Ask about it").click()
    expect(page.locator(".line.person").last).to_contain_text("Is this still available?")
    expect(page.locator(".line.person").last).to_contain_text("sku-1")
    wait_until(lambda: len(meta.backend.messages()) == 2)
    assert meta.backend.messages()[1]["context"]["referred_product"]["catalog_id"] == "77"
