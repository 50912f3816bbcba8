"""An address on the simulator's phone: the request as a form, the answer as Meta sends it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from local.simulator.addresses import FIELDS
from tests.simulator_run import FIRST, Simulator

Json = dict[str, Any]
BEN = "447700900142"
HOME = {"name": "Asha Rao", "in_pin_code": "400063", "city": "Mumbai", "building_name": ""}


def request(**more: Any) -> Json:
    content = {
        "type": "address_message",
        "body": {"text": "Where shall we send it?"},
        "action": {"name": "address_message", "parameters": {"country": "IN", **more}},
    }
    return {"type": "interactive", "interactive": content}


@pytest.fixture
def page(meta: Simulator, chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.set_default_timeout(10_000)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(meta.url)
    expect(page.locator("#wire-text")).to_have_text("live")
    yield page
    context.close()
    assert complaints == []


def answer(meta: Simulator) -> tuple[Json, Json]:
    """Return the message that came as webhook, and what its form says."""
    meta.flush()
    (message,) = meta.backend.messages()
    return message, json.loads(message["interactive"]["nfm_reply"]["response_json"])


def test_an_address_comes_back_as_metas_form_reply(meta: Simulator) -> None:
    wamid = meta.sent(BEN, body=request())
    given = {"city": "Pune", "in_pin_code": "411001", "name": "Ben"}
    meta.play(BEN, type="flow", answers=given)
    message, said = answer(meta)
    assert (message["type"], message["context"]["id"]) == ("interactive", wamid)
    assert said == {"values": given}
    assert message["interactive"] == {
        "type": "nfm_reply",
        "nfm_reply": {
            "name": "address_message",
            "body": "Ben\n411001, Pune",
            "response_json": json.dumps({"values": given}),
        },
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"answers": {"flow_token": "t"}},
        {"answers": {"city": 7}},
        {"answers": {}, "saved_address_id": "office"},
    ],
)
def test_what_the_form_does_not_offer_cannot_be_sent(meta: Simulator, wrong: Json) -> None:
    meta.sent(BEN, body=request(saved_addresses=[{"id": "home", "value": HOME}]))
    gesture = {"phone_number_id": FIRST.phone_number_id, "type": "flow", **wrong}
    refused = meta.http.post(f"/simulator/phone/{BEN}/messages", json=gesture)
    assert 400 <= refused.status_code < 500, refused.text
    meta.flush()
    assert meta.backend.messages() == []


def test_the_form_that_is_named_is_the_one_that_is_filled(meta: Simulator) -> None:
    older = meta.sent(BEN, body=request())
    meta.sent(BEN, body=request())
    meta.play(BEN, type="flow", answers={"city": "Pune"}, reply_to=older)
    message, _ = answer(meta)
    assert message["context"]["id"] == older


def test_a_person_types_an_address(meta: Simulator, page: Page) -> None:
    errors = {"in_pin_code": "We could not find this pin code."}
    meta.sent(body=request(values={"city": "Pune", "in_pin_code": "6"}, validation_errors=errors))
    page.get_by_role("button", name="Provide address").click()
    dialog = page.locator("#address-dialog")
    expect(dialog.locator("input")).to_have_count(len(FIELDS))
    expect(dialog.get_by_text("We could not find this pin code.")).to_be_visible()
    expect(dialog.get_by_text("Saved addresses")).to_have_count(0)
    expect(dialog.get_by_label("City")).to_have_value("Pune")
    dialog.get_by_label("Pin code").fill("411001")
    dialog.get_by_label("Name", exact=True).fill("Ana")
    dialog.get_by_role("button", name="Send").click()
    expect(dialog).to_be_hidden()
    expect(page.locator(".line.person").last).to_contain_text("411001, Pune")
    _, said = answer(meta)
    assert said == {"values": {"name": "Ana", "in_pin_code": "411001", "city": "Pune"}}


def test_a_person_takes_a_saved_address(meta: Simulator, page: Page) -> None:
    meta.sent(body=request(saved_addresses=[{"id": "home", "value": HOME}]))
    page.get_by_role("button", name="Provide address").click()
    dialog = page.locator("#address-dialog")
    dialog.get_by_label("Saved addresses").select_option("home")
    expect(dialog.get_by_label("City")).to_have_value("Mumbai")
    dialog.get_by_role("button", name="Send").click()
    expect(dialog).to_be_hidden()
    expect(page.locator(".line.person").last).to_contain_text("400063, Mumbai")
    _, said = answer(meta)
    values = {"name": "Asha Rao", "in_pin_code": "400063", "city": "Mumbai"}
    assert said == {"saved_address_id": "home", "values": values}


def test_every_field_of_the_form_is_one_that_can_be_sent(meta: Simulator, page: Page) -> None:
    meta.sent(body=request())
    page.get_by_role("button", name="Provide address").click()
    dialog = page.locator("#address-dialog")
    for name in FIELDS:
        dialog.locator(f"input[name={name}]").fill("1")
    dialog.get_by_role("button", name="Send").click()
    expect(page.locator(".line.person")).to_have_count(1)
    _, said = answer(meta)
    assert said == {"values": dict.fromkeys(FIELDS, "1")}
