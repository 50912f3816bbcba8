"""The page's second view on the running system: its own commands start what it then shows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.running_stack import ROOT, RunningStack
from tests.simulator_run import wait_until

PATIENCE_S = 60.0
PEOPLE = [f"44770090028{n}" for n in range(4)]


@pytest.fixture
def page(stack: dict[str, str], chromium: Browser) -> Iterator[Page]:
    complaints: list[str] = []
    context = chromium.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_S * 1000)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{stack['SIMULATOR_URL']}/?view=business")
    expect(page.locator("#wire-text")).to_have_text("live")
    yield page
    context.close()
    assert complaints == []


@pytest.fixture
def people(stack: dict[str, str]) -> list[str]:
    """People of this file's own, who have written to the business; returns their phones."""
    for phone in PEOPLE:
        written = {"type": "text", "text": "Hi", "phone_number_id": stack["PHONE_NUMBER_ID"]}
        url = f"{stack['SIMULATOR_URL']}/simulator/phone/{phone}/messages"
        httpx.post(url, json=written, timeout=PATIENCE_S).raise_for_status()

    def known() -> bool:
        headers = {"authorization": f"Bearer {stack['API_KEY']}"}
        counted = httpx.post(
            f"{stack['API_URL']}/v1/audiences/count",
            headers=headers,
            json={"audience": {"type": "custom_list", "phones": PEOPLE}},
            timeout=PATIENCE_S,
        )
        return bool(counted.raise_for_status().json()["contacts"] == len(PEOPLE))

    wait_until(known, within=PATIENCE_S)
    return PEOPLE


def run(stack: RunningStack, command: str) -> None:
    """Run a command of the page as a reader of it does."""
    # The run's own values, and this Python, stand elsewhere than a reader's.
    command = command.replace(".local/env", str(stack.folder / "env"))
    command = command.replace(".venv/bin/python", sys.executable)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert "errorMessage" not in done.stdout, done.stdout


def shown(page: Page, which: str, *, instead_of: str, put: str) -> str:
    """The command that the page shows, for people of this file's own."""
    command = page.locator(f"#{which}-command").text_content() or ""
    assert instead_of in command
    return command.replace(instead_of, put)


def test_a_campaign_is_made_by_the_pages_command_started_on_it_and_seen_to_its_end(
    running_stack: RunningStack, people: list[str], page: Page
) -> None:
    whom = '{"type": "custom_list", "phones": ["' + '", "'.join(people) + '"]}'
    command = shown(page, "campaigns", instead_of='{"type": "all_contacts"}', put=whom)
    run(running_stack, command)
    card = page.locator(".campaign", has_text="See you soon")
    state = card.locator(".chip-state")
    expect(state).to_have_text("draft", timeout=PATIENCE_S * 1000)
    card.get_by_role("button", name="Start See you soon").click()
    expect(state).to_have_text("completed", timeout=PATIENCE_S * 1000)
    # Delivered, or read where somebody else's page has the chat open.
    bar = card.get_by_role("img", name="4 people: 4 delivered")
    expect(bar).to_be_visible(timeout=PATIENCE_S * 1000)
    expect(card.get_by_role("button")).to_have_count(0)


def test_a_rules_run_is_shown_with_its_message_on_the_phone(
    running_stack: RunningStack, people: list[str], page: Page
) -> None:
    command = shown(page, "runs", instead_of="+447700900199", put=f"+{people[0]}")
    # The rule stays: other tests' events are not its.
    run(running_stack, command.replace("invoice_paid", "seen_on_the_page"))
    own = page.locator(".run", has_text=people[0])
    link = own.get_by_role("button", name="Thank you")
    expect(link).to_contain_text("delivered", timeout=PATIENCE_S * 1000)
    expect(own.locator(".chip-state")).to_have_text("done")
    link.click()
    expect(page.locator("#chat-about")).to_contain_text(people[0])
    expect(page.locator(".line.business", has_text="Thank you")).to_be_visible()
