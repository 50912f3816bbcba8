"""The README's first conversation, as a person has it: the phone in a browser, the API by HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browsing import chromium
from tests.simulator_run import wait_until

PATIENCE_S = 20.0


@pytest.fixture
def page(stack: dict[str, str]) -> Iterator[Page]:
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(PATIENCE_S * 1000)
        expect.set_options(timeout=PATIENCE_S * 1000)
        page.goto(stack["SIMULATOR_URL"])
        expect(page.locator("#wire-text")).to_have_text("live")
        yield page


def test_what_a_person_types_is_answered_and_the_ticks_turn(
    stack: dict[str, str], page: Page
) -> None:
    page.locator(".contact", has_text="Ben Whitfield").click()
    page.get_by_label("Message", exact=True).fill("Do you have the terrace tonight?")
    page.keyboard.press("Enter")

    # The webhook was stored, and the worker reacted: blue ticks and the acknowledging reaction.
    asked = page.locator(".line.person", has_text="Do you have the terrace tonight?")
    expect(asked).to_have_attribute("data-state", "read")
    expect(asked.locator(".reactions")).to_have_text("👍")

    # An internal service answers.
    sent = httpx.post(
        f"{stack['API_URL']}/v1/messages",
        headers={"authorization": f"Bearer {stack['API_KEY']}"},
        json={
            "from": stack["PHONE_NUMBER_ID"],
            "to": "+447700900142",
            "message": {"type": "text", "text": {"body": "From eight, for two."}},
        },
        timeout=PATIENCE_S,
    )
    assert sent.status_code == 200, sent.text
    answer = sent.json()
    assert answer["status"] in {"accepted", "sent", "delivered", "read"}
    assert answer["wa_message_id"]

    # The reply shows on the phone, and since its chat is open it is read.
    reply = page.locator(".line.business", has_text="From eight, for two.")
    expect(reply).to_have_attribute("data-state", "read")
    wait_until(lambda: _message(stack, answer["id"])["status"] == "read", within=PATIENCE_S)
    message = _message(stack, answer["id"])
    assert message["wa_message_id"] == answer["wa_message_id"]
    times = message["timestamps"]
    assert times["sent_at"] <= times["delivered_at"] <= times["read_at"]


def _message(stack: dict[str, str], message_id: str) -> dict[str, Any]:
    got = httpx.get(
        f"{stack['API_URL']}/v1/messages/{message_id}",
        headers={"authorization": f"Bearer {stack['API_KEY']}"},
        timeout=PATIENCE_S,
    )
    assert got.status_code == 200, got.text
    document: dict[str, Any] = got.json()
    return document
