"""The page of preferences in a real browser: read, filled in, saved, with scripts and without."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, expect

from functions.webhook import app as webhook
from local.gateway.app import http_api
from local.lambdas.invocation import Result
from local.serving import Server
from local.template.model import RouteSpec
from switchboard.kernel.clock import Clock
from switchboard.kernel.secrets import Secrets
from switchboard.policy import CATEGORIES
from tests.browsing import chromium
from tests.functions.test_manage_preferences import GET, agree, history, person
from tests.functions.test_preferences_page import LINK, Vault, own_tools
from tests.managing import Desk

ROUTES = [RouteSpec(method, "/p/{token}", "webhook") for method in ("GET", "POST")]


@contextmanager
def gateway() -> Iterator[str]:
    """Serve the function behind the local gateway; yield where."""
    listening = socket.create_server(("127.0.0.1", 0))
    host, port = listening.getsockname()

    async def invoke(_function: str, event: bytes) -> Result:
        response = webhook.handler(json.loads(event), None)
        return Result(payload=json.dumps(response).encode())

    server = Server(http_api(ROUTES, invoke), [listening])
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
    thread.start()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@contextmanager
def opened(browser: Browser, url: str, *, scripts: bool) -> Iterator[Page]:
    """Open the page as a German reads it; whatever the browser complains about fails the test."""
    context = browser.new_context(locale="de-DE", java_script_enabled=scripts)
    page = context.new_page()
    page.set_default_timeout(10_000)
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.goto(url)
    yield page
    context.close()
    # A 422 is told on the console; of the page's own making nothing is.
    assert [one for one in complaints if "422" not in one and "favicon" not in one] == []


@pytest.mark.parametrize("scripts", [True, False])
def test_a_person_reads_changes_and_saves_their_preferences(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, browser: Browser, *, scripts: bool
) -> None:
    contact_id = person(desk)
    agree(desk, contact_id, days_ago=1)
    with gateway() as url:
        own_tools(desk, Vault(key="k" * 64), public_url=url)
        served = desk.world.tools(Clock(), preferences_secret_arn="arn:preferences")
        served.secrets = Secrets(fetch=Vault(key="k" * 64))
        monkeypatch.setattr(webhook, "tools", lambda: served)
        status, link = desk.call(LINK, contact_id)
        assert status == 201
        with opened(browser, link["url"], scripts=scripts) as page:
            expect(page.get_by_role("heading")).to_have_text("Ihre Benachrichtigungen")
            offers = page.get_by_label("Angebote und Neuigkeiten")
            expect(offers).to_be_checked()
            expect(page.get_by_label("Zeitzone")).to_contain_text("Automatisch (Europe/Berlin)")
            if scripts:  # the page's own style passes its own policy
                width = page.evaluate("getComputedStyle(document.body).maxWidth")
                assert width == "576px"

            offers.uncheck()
            page.get_by_label("In meiner Ruhezeit").check()
            page.get_by_label("Von", exact=True).fill("22:00")
            page.get_by_label("Bis", exact=True).fill("22:00")
            page.get_by_label("Zeitzone").select_option("America/Lima")
            page.get_by_role("button").click()
            expect(page.get_by_role("alert")).to_contain_text("Nichts wurde gespeichert")
            expect(page.get_by_text("Beginn und Ende sind gleich.")).to_be_visible()
            expect(offers).not_to_be_checked()
            expect(page.get_by_label("Zeitzone")).to_have_value("America/Lima")
            assert desk.place.rows("notification_preferences") == []

            page.get_by_label("Bis", exact=True).fill("07:00")
            page.get_by_role("button").click()
            expect(page.get_by_role("status")).to_have_text("Gespeichert.")
            expect(offers).not_to_be_checked()
            # Loaded once more it is not sent once more.
            page.reload()
            expect(page.get_by_label("Bis", exact=True)).to_have_value("07:00")
    shown = desk.ok(GET, contact_id)
    chosen = {name: one["chosen"] for name, one in shown["categories"].items()}
    assert chosen == {**dict.fromkeys(CATEGORIES), "marketing": False}
    hours = {"enabled": True, "start": "22:00", "end": "07:00", "source": "person"}
    assert shown["quiet_hours"] == hours
    assert shown["timezone"] == {"name": "America/Lima", "source": "person"}
    assert history(desk, contact_id)[1:] == [("marketing", "withdrawn", "page")]
