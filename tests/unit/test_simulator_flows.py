"""The simulator's Flows: Graph's calls as Meta answers them, webhooks, the form on the phone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser, Page, expect

from local.simulator.archive import Archive
from local.simulator.flows import Flows
from tests.simulator_run import FIRST, SECOND, THIRD, Simulator

Json = dict[str, Any]
NAMES = (f"flow-{number}" for number in count())

SLOTS = [{"id": "am", "title": "Morning"}, {"id": "pm", "title": "Evening"}]
BOOKING: Json = {
    "version": "7.1",
    "screens": [
        {
            "id": "START",
            "title": "Your table",
            "data": {"name": {"type": "string", "__example__": "You"}},
            "layout": {
                "type": "SingleColumnLayout",
                "children": [
                    {"type": "TextHeading", "text": "${data.name}"},
                    {
                        "type": "Form",
                        "name": "form",
                        "children": [
                            {"type": "TextInput", "name": "seats", "label": "Seats",
                             "input-type": "number", "required": True},
                            {"type": "Dropdown", "name": "slot", "label": "When",
                             "required": True, "data-source": SLOTS},
                            {"type": "CheckboxGroup", "name": "wishes", "label": "Wishes",
                             "data-source": [{"id": "quiet", "title": "A quiet corner"},
                                             {"id": "terrace", "title": "The terrace"}]},
                            {
                                "type": "Footer",
                                "label": "Next",
                                "on-click-action": {
                                    "name": "navigate",
                                    "next": {"type": "screen", "name": "END"},
                                    "payload": {"seats": "${form.seats}"},
                                },
                            },
                        ],
                    },
                ],
            },
        },
        {
            "id": "END",
            "title": "Almost done",
            "terminal": True,
            "data": {"seats": {"type": "string", "__example__": "2"}},
            "layout": {
                "type": "SingleColumnLayout",
                "children": [
                    {"type": "TextBody", "text": "${data.seats}"},
                    {"type": "TextArea", "name": "note", "label": "Note"},
                    {"type": "RadioButtonsGroup", "name": "room", "label": "Room",
                     "data-source": [{"id": "in", "title": "Inside"}]},
                    {"type": "DatePicker", "name": "day", "label": "Day"},
                    {"type": "OptIn", "name": "news", "label": "Tell me news"},
                    {
                        "type": "Footer",
                        "label": "Book",
                        "on-click-action": {
                            "name": "complete",
                            "payload": {
                                "seats": "${data.seats}",
                                "slot": "${screen.START.form.slot}",
                                "wishes": "${screen.START.form.wishes}",
                                "note": "${form.note}",
                                "room": "${form.room}",
                                "day": "${form.day}",
                                "news": "${form.news}",
                                "kind": "table",
                            },
                        },
                    },
                ],
            },
        },
    ],
}  # fmt: skip


def ask(
    meta: Simulator, method: str, path: str, token: str = FIRST.access_token, **how: Any
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return meta.http.request(method, f"/v23.0/{path}", headers=headers, **how)


def done(answer: httpx.Response) -> Json:
    assert answer.status_code == 200, answer.text
    document: Json = answer.json()
    return document


def refused(answer: httpx.Response) -> tuple[int, int]:
    return answer.status_code, answer.json()["error"]["code"]


def created(meta: Simulator, document: Json | None = None, **more: str) -> str:
    form = {"name": next(NAMES), "categories": '["OTHER"]', **more}
    if document is not None:
        form["flow_json"] = json.dumps(document)
    answer = ask(meta, "POST", f"{FIRST.waba_id}/flows", data=form)
    return str(done(answer)["id"])


def uploaded(meta: Simulator, flow_id: str, content: bytes) -> httpx.Response:
    return ask(
        meta,
        "POST",
        f"{flow_id}/assets",
        data={"name": "flow.json", "asset_type": "FLOW_JSON"},
        files={"file": ("flow.json", content, "application/json")},
    )


def published(meta: Simulator) -> str:
    return created(meta, BOOKING, publish="true")


def told(meta: Simulator) -> list[Json]:
    meta.flush()
    return [
        change["value"]
        for received in meta.backend.received
        for entry in received.document["entry"]
        for change in entry["changes"]
        if change["field"] == "flows"
    ]


def flow_message(**parameters: Any) -> Json:
    given = {"flow_message_version": "3", "flow_cta": "Book", "flow_token": "t-1", **parameters}
    return {
        "type": "interactive",
        "interactive": {
            "type": "flow",
            "body": {"text": "Book a table"},
            "action": {"name": "flow", "parameters": given},
        },
    }


def test_a_draft_is_filled_published_and_retired_and_each_state_is_told(meta: Simulator) -> None:
    flow_id = created(meta)
    assert refused(ask(meta, "POST", f"{flow_id}/publish")) == (400, 139002)
    answer = uploaded(meta, flow_id, json.dumps(BOOKING).encode())
    assert done(answer) == {"success": True, "validation_errors": []}
    assert done(ask(meta, "POST", f"{flow_id}/publish")) == {"success": True}
    assert refused(uploaded(meta, flow_id, b"{}")) == (400, 139001)
    assert refused(ask(meta, "DELETE", flow_id)) == (400, 139004)
    assert done(ask(meta, "POST", f"{flow_id}/deprecate")) == {"success": True}
    assert refused(ask(meta, "POST", f"{flow_id}/deprecate")) == (400, 139003)
    states = [(one.get("old_status"), one["new_status"]) for one in told(meta)]
    assert states == [(None, "DRAFT"), ("DRAFT", "PUBLISHED"), ("PUBLISHED", "DEPRECATED")]


def test_a_flow_is_read_listed_changed_and_deleted(meta: Simulator) -> None:
    flow_id = created(meta, BOOKING, endpoint_uri="https://acme.example/flow")
    fields = "id,name,categories,status,json_version,endpoint_uri,preview.invalidate(false)"
    shown = done(ask(meta, "GET", flow_id, params={"fields": fields}))
    assert (shown["status"], shown["json_version"]) == ("DRAFT", "7.1")
    assert meta.http.get(shown["preview"]["preview_url"]).json() == BOOKING
    change = {"name": next(NAMES), "categories": '["SURVEY"]'}
    assert done(ask(meta, "POST", flow_id, data=change)) == {"success": True}
    other = created(meta)
    first = done(ask(meta, "GET", f"{FIRST.waba_id}/flows", params={"limit": "1"}))
    assert [one["id"] for one in first["data"]] == [other]
    rest = {"after": first["paging"]["cursors"]["after"], "limit": "1"}
    second = done(ask(meta, "GET", f"{FIRST.waba_id}/flows", params=rest))
    ((found, categories),) = [(one["id"], one["categories"]) for one in second["data"]]
    assert (found, categories) == (flow_id, ["SURVEY"])
    assert done(ask(meta, "DELETE", other)) == {"success": True}
    assert refused(ask(meta, "GET", other)) == (400, 100)


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"screens": []}, "MISSING_REQUIRED_PROPERTY"),
        ({"version": "7.1"}, "MISSING_REQUIRED_PROPERTY"),
        ({"version": "7.1", "screens": [{"id": "SUCCESS"}]}, "INVALID_SCREEN_ID"),
        ({"version": "7.1", "screens": [{"id": "A"}]}, "MISSING_REQUIRED_PROPERTY"),
        (
            {"version": "7.1", "screens": [{"id": "A", "layout": {"children": [{}] * 51}}]},
            "TOO_MANY_COMPONENTS",
        ),
        (
            {"version": "7.1", "screens": [{"id": "A", "layout": {"children": []}}]},
            "MISSING_TERMINAL_SCREEN",
        ),
    ],
)
def test_what_is_wrong_in_a_json_is_told_and_stops_its_publishing(
    meta: Simulator, document: Json, error: str
) -> None:
    flow_id = created(meta)
    answer = done(uploaded(meta, flow_id, json.dumps(document).encode()))
    assert [one["error"] for one in answer["validation_errors"]] == [error]
    assert refused(ask(meta, "POST", f"{flow_id}/publish")) == (400, 139002)


def test_what_is_no_flow_is_refused(meta: Simulator) -> None:
    name = next(NAMES)
    where = f"{FIRST.waba_id}/flows"
    good = {"name": name, "categories": '["OTHER"]'}
    done(ask(meta, "POST", where, data=good))
    for form in (
        good,  # the name is in use
        {**good, "name": ""},
        {**good, "name": "x", "categories": '["FUN"]'},
        {**good, "name": "x", "categories": "OTHER"},
        {**good, "name": "x", "flow_json": "[]"},
    ):
        answer = ask(meta, "POST", where, data=form)
        assert answer.status_code == 400, form
    missing = {**good, "name": "x", "clone_flow_id": "7"}
    assert refused(ask(meta, "POST", where, data=missing)) == (400, 139000)
    assert refused(uploaded(meta, created(meta), b"no json")) == (400, 100)
    foreign = ask(meta, "GET", created(meta), token=THIRD.access_token)
    assert refused(foreign) == (400, 100)


def test_a_copy_has_the_screens_of_its_source(meta: Simulator) -> None:
    copy = created(meta, clone_flow_id=created(meta, BOOKING))
    assert meta.http.get(f"/simulator/flows/{copy}").json() == BOOKING


def test_a_number_has_one_public_key(meta: Simulator) -> None:
    def pem(key: Any) -> str:
        public = key.public_key()
        return str(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())

    where = f"{SECOND.phone_number_id}/whatsapp_business_encryption"
    assert done(ask(meta, "GET", where)) == {"data": []}
    good = pem(rsa.generate_private_key(65537, 2048))
    for bad in ("", "x", pem(rsa.generate_private_key(65537, 1024)),
                pem(ec.generate_private_key(ec.SECP256R1()))):  # fmt: skip
        answer = ask(meta, "POST", where, data={"business_public_key": bad})
        assert answer.status_code == 400, bad
    assert done(ask(meta, "POST", where, data={"business_public_key": good})) == {"success": True}
    (key,) = done(ask(meta, "GET", where))["data"]
    assert key == {
        "business_public_key": good,
        "business_public_key_signature_status": "VALID",
    }


def test_a_message_needs_a_flow_that_can_be_opened(meta: Simulator) -> None:
    draft, out = created(meta, BOOKING), published(meta)
    assert meta.send(body=flow_message(flow_id=out)).status_code == 200
    assert meta.send(body=flow_message(flow_id=draft, mode="draft")).status_code == 200
    for wrong in ({"flow_id": draft}, {"flow_id": out, "mode": "draft"}, {"flow_id": "7"},
                  {"flow_name": "nobody's"}):  # fmt: skip
        assert refused(meta.send(body=flow_message(**wrong))) == (400, 131009), wrong


def test_a_form_that_is_sent_comes_back_with_its_token(meta: Simulator) -> None:
    wamid = meta.sent("447700900142", body=flow_message(flow_id=published(meta)))
    meta.play("447700900142", type="flow", answers={"seats": "2"})
    meta.flush()
    (message,) = meta.backend.messages()
    assert message["context"]["id"] == wamid
    reply = message["interactive"]["nfm_reply"]
    assert (reply["name"], reply["body"]) == ("flow", "Sent")
    assert json.loads(reply["response_json"]) == {"flow_token": "t-1", "seats": "2"}


def test_flows_and_keys_survive_a_restart(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    flows = Flows(archive, lambda _: None, lambda: 0.0)
    made = flows.add("1", "booking", ["OTHER"])
    flows.set_key("7", "pem")
    archive.close()
    later = Archive(tmp_path)
    again = Flows(later, lambda _: None, lambda: 0.0)
    later.close()
    assert again.get(made.id) == made
    assert again.key_of("7") == "pem"


# --- the page ---


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


def answer_of(meta: Simulator) -> Json:
    meta.flush()
    (message,) = meta.backend.messages()
    answer: Json = json.loads(message["interactive"]["nfm_reply"]["response_json"])
    return answer


def test_the_phone_fills_a_flow_in_over_its_screens(meta: Simulator, page: Page) -> None:
    payload = {"screen": "START", "data": {"name": "Ana"}}
    meta.sent(body=flow_message(flow_id=published(meta), flow_action_payload=payload))
    page.get_by_role("button", name="Book", exact=True).click()
    dialog = page.locator("#flow-dialog")
    expect(dialog.get_by_role("heading", name="Your table")).to_be_visible()
    expect(dialog.get_by_role("heading", name="Ana")).to_be_visible()
    dialog.get_by_role("button", name="Next").click()  # what is required is missing
    expect(dialog.get_by_role("heading", name="Your table")).to_be_visible()
    dialog.get_by_label("Seats").fill("4")
    dialog.get_by_label("When").select_option("pm")
    dialog.get_by_label("A quiet corner").check()
    dialog.get_by_role("button", name="Next").click()
    expect(dialog.get_by_role("heading", name="Almost done")).to_be_visible()
    expect(dialog.get_by_text("4", exact=True)).to_be_visible()
    dialog.get_by_label("Note").fill("Birthday")
    dialog.get_by_label("Inside").check()
    dialog.get_by_label("Day").fill("2031-03-04")
    dialog.get_by_label("Tell me news").check()
    dialog.get_by_role("button", name="Book").click()
    expect(dialog).to_be_hidden()
    expect(page.locator(".line.person").last).to_contain_text("Birthday")
    assert answer_of(meta) == {
        "flow_token": "t-1",
        "seats": "4",
        "slot": "pm",
        "wishes": ["quiet"],
        "note": "Birthday",
        "room": "in",
        "day": "2031-03-04",
        "news": True,
        "kind": "table",
    }


def test_a_flow_that_is_not_here_is_answered_by_names_and_values(
    meta: Simulator, page: Page
) -> None:
    # An account that has no Flow here may have them elsewhere.
    given = {"messaging_product": "whatsapp", "to": "+525550001234", **flow_message(flow_id="7")}
    headers = {"Authorization": f"Bearer {THIRD.access_token}"}
    path = f"/v23.0/{THIRD.phone_number_id}/messages"
    meta.http.post(path, headers=headers, json=given).raise_for_status()
    page.get_by_label("Business number").select_option(THIRD.phone_number_id)
    page.get_by_role("button", name="Book", exact=True).click()
    dialog = page.locator("#flow-dialog")
    dialog.get_by_label("Name").fill("seats")
    dialog.get_by_label("Value").fill("4")
    dialog.get_by_role("button", name="One more").click()
    dialog.get_by_label("Name").nth(1).fill("room")
    dialog.get_by_label("Value").nth(1).fill("in")
    dialog.get_by_role("button", name="Send").click()
    expect(dialog).to_be_hidden()
    expect(page.locator(".line.person").last).to_contain_text("seats")
    assert answer_of(meta) == {"flow_token": "t-1", "seats": "4", "room": "in"}
