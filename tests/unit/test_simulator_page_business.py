"""The page's second view in a real browser: campaigns as they go on, and what automations did."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Dialog, Page, Route, expect

from local.simulator.config import Tenant
from switchboard.campaigns.costs import CampaignCost
from switchboard.prices.cost import Cost, Spent
from tests.business_api import NOW, Api, campaign, listening, money, progress, reason, rule, run
from tests.simulator_run import Simulator, backend, simulator, wait_until

KEY = "sb_key_of_casa_verde"
CASA_VERDE = Tenant(slug="casa-verde", name="Casa Verde", api_key=KEY)


@pytest.fixture(scope="module")
def listening_api() -> Iterator[Api]:
    with listening(KEY) as api:
        yield api


@pytest.fixture(scope="module")
def beside(listening_api: Api) -> Iterator[Simulator]:
    with (
        backend() as receiver,
        simulator(receiver, api_url=listening_api.url, tenants=(CASA_VERDE,)) as meta,
    ):
        yield meta


@pytest.fixture
def api(listening_api: Api, beside: Simulator) -> Api:
    beside.start_afresh()
    listening_api.start_afresh()
    return listening_api


@pytest.fixture
def opened(chromium: Browser, beside: Simulator) -> Iterator[Callable[..., Page]]:
    """Opens the page of a simulator, at its second view."""
    complaints: list[str] = []
    context = chromium.new_context(viewport={"width": 1400, "height": 900})

    def open_(meta: Simulator = beside) -> Page:
        page = context.new_page()
        page.set_default_timeout(10_000)
        # Days are the browser's; no test ends on another one than it began.
        page.clock.install(time=NOW)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(meta.url)
        expect(page.locator("#wire-text")).to_have_text("live")
        page.get_by_role("button", name="Business", exact=True).click()
        expect(page.get_by_role("heading", name="Campaigns")).to_be_visible()
        return page

    yield open_
    context.close()
    assert complaints == []


def card(page: Page, name: str) -> Any:
    return page.locator(".campaign", has=page.get_by_role("heading", name=name))


def hold(page: Page, what: str, times: int | None = None) -> list[Route]:
    """Let no such request through; they gather in the list, while the page is asked something."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    page.route(what, keep, times=times)
    return held


def test_a_campaign_is_seen_going_on(api: Api, opened: Callable[..., Page]) -> None:
    spring = campaign("Spring", "sending", estimated_cost=money("4.1250"), currency="EUR")
    done = progress({"sent": 6, "queued": 4, "pending": 90}, rate_per_minute=120.0, seconds_left=47)
    api.show(spring, done)
    known = {"EUR": Spent(money("0.2"), 4)}
    cost = CampaignCost(Cost(94, unknown=94).shown(), Cost(6, 1, 0, 1, known).shown(), True, None)
    api.others[f"campaigns/{spring.id}/cost"] = asdict(cost)
    large = campaign("Large", "completed")
    api.show(large, done)
    api.others[f"campaigns/{large.id}/cost"] = asdict(replace(cost, complete=False))
    page = opened()
    expect(card(page, "Large").locator(".facts")).to_contain_text(
        "cost, as far as it is counted 0.20 EUR"
    )
    own = card(page, "Spring")
    expect(own.locator(".chip-state")).to_have_text("sending")
    bar = own.get_by_role("img")
    expect(bar).to_have_accessible_name("100 people: 6 sent, 4 queued, 90 pending")
    wide = bar.bounding_box()["width"]
    assert bar.locator(".state-pending").bounding_box()["width"] > wide * 0.8
    expect(own.locator(".facts")).to_have_text(
        "100 people · 120 a minute · about 47 s left · estimated 4.125 EUR in all"
        " · cost so far 0.20 EUR (1 unknown) · to come unknown"
    )
    done = progress({"read": 70, "delivered": 20, "failed": 10}, opted_out=2)
    api.show(replace(spring, status="completed", completed_at=NOW), done)
    expect(own.locator(".chip-state")).to_have_text("completed")
    expect(bar).to_have_accessible_name("100 people: 70 read, 20 delivered, 10 failed")
    expect(own.locator(".facts")).to_contain_text("2 opted out")
    expect(own.get_by_role("button")).to_have_count(0)


def test_why_it_is_paused_and_why_people_got_nothing(api: Api, opened: Callable[..., Page]) -> None:
    paused = campaign(
        "Spring", "paused", pause_reason="failure_share", pause_detail="31 of 100 failed"
    )
    reasons = [reason("failed", "131026", 31), *[reason("denied", f"r{n}", 1) for n in range(6)]]
    api.show(
        paused, progress({"failed": 31, "sent": 69}, reasons=reasons), "Look at the reasons, mend."
    )
    own = card(opened(), "Spring")
    expect(own.locator(".why")).to_have_text(
        "failure share 31 of 100 failedLook at the reasons, mend."
    )
    expect(own.locator(".reasons li")).to_have_count(6)
    expect(own.locator(".reasons li").first).to_have_text("31 failed: 131026")
    expect(own.locator(".reasons li").last).to_have_text("and 2 more reasons")


def test_it_is_paused_and_resumed_by_the_api_and_a_cancel_may_be_thought_over(
    api: Api, opened: Callable[..., Page]
) -> None:
    spring = api.show(campaign("Spring", "sending"), progress({"sent": 1, "pending": 9}))
    page = opened()
    own = card(page, "Spring")
    own.get_by_role("button", name="Pause Spring").click()
    expect(own.locator(".chip-state")).to_have_text("paused")
    # By keyboard one goes on where one was.
    expect(own.get_by_role("button", name="Resume Spring")).to_be_focused()
    page.keyboard.press("Enter")
    expect(own.locator(".chip-state")).to_have_text("sending")
    asked: list[str] = []

    def think_again(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", think_again)
    own.get_by_role("button", name="Cancel Spring").click()
    wait_until(lambda: asked)
    assert [deed for _, deed in api.deeds] == ["pause", "resume"]
    assert "for good" in asked[0]
    assert {one for one, _ in api.deeds} == {str(spring)}


def test_a_draft_is_started_and_cancelled(api: Api, opened: Callable[..., Page]) -> None:
    spring = campaign("Spring", "draft", started_at=None)
    api.show(spring)
    page = opened()
    page.on("dialog", lambda dialog: dialog.accept())
    expect(page.get_by_role("button", name="Start Spring")).to_be_visible()
    api.show(replace(spring, name="Summer"))
    own = card(page, "Summer")
    own.get_by_role("button", name="Start Summer").click()
    expect(own.locator(".chip-state")).to_have_text("sending")
    own.get_by_role("button", name="Cancel Summer").click()
    expect(own.locator(".chip-state")).to_have_text("cancelled")
    assert [deed for _, deed in api.deeds] == ["start", "cancel"]


def test_what_the_api_refuses_is_told(api: Api, opened: Callable[..., Page]) -> None:
    spring = campaign("Spring", "sending")
    api.show(spring)
    page = opened()
    pause = card(page, "Spring").get_by_role("button", name="Pause Spring")
    pause.hover()
    page.mouse.down()
    # While the finger lies on it the button stays, whatever has happened meanwhile.
    api.show(replace(spring, status="completed"))
    seen = len(api.asked)
    wait_until(lambda: len(api.asked) > seen + 4)
    expect(pause).to_be_visible()
    page.mouse.up()
    expect(page.locator("#notice")).to_have_text(
        "the API answers 409: the campaign is completed, not sending"
    )
    expect(pause).to_be_hidden()


def test_a_new_campaign_leaves_the_focus_where_it_is(api: Api, opened: Callable[..., Page]) -> None:
    spring = campaign("Spring", "sending")
    api.show(spring, progress({"pending": 5}))
    page = opened()
    pause = card(page, "Spring").get_by_role("button", name="Pause Spring")
    pause.focus()
    api.show(spring, progress({"sent": 5}))
    api.show(campaign("Summer", "draft", created_at=NOW + timedelta(seconds=1)))
    expect(page.locator(".campaign h3")).to_have_text(["Summer", "Spring"])
    expect(card(page, "Spring").get_by_role("img")).to_have_accessible_name("5 people: 5 sent")
    expect(pause).to_be_focused()


def test_it_asks_only_while_it_is_looked_at(api: Api, opened: Callable[..., Page]) -> None:
    api.show(campaign("Spring", "sending"))
    page = opened()
    expect(card(page, "Spring")).to_be_visible()
    page.get_by_role("button", name="Phone", exact=True).click()
    expect(page.locator("#chat")).to_be_visible()
    held = hold(page, "**/simulator/business/**")
    page.clock.fast_forward(60_000)
    assert held == []
    page.get_by_role("button", name="Business", exact=True).click()
    wait_until(lambda: page.evaluate("() => true") and len(held) == 2)
    page.unroute_all(behavior="ignoreErrors")


def test_an_answer_from_before_a_deed_does_not_undo_what_is_shown(
    api: Api, opened: Callable[..., Page]
) -> None:
    api.show(campaign("Spring", "sending"))
    page = opened()
    own = card(page, "Spring")
    expect(own).to_be_visible()
    held = hold(page, "**/business/campaigns", times=1)
    wait_until(lambda: page.evaluate("() => true") and held)
    before = held[0].fetch()
    own.get_by_role("button", name="Pause Spring").click()
    expect(own.locator(".chip-state")).to_have_text("paused")
    page.evaluate(
        "() => { window.seen = []; new MutationObserver(() => window.seen.push("
        "document.querySelector('.campaign .chip-state').textContent)).observe("
        "document.querySelector('#campaigns'), { subtree: true, childList: true }) }"
    )
    held[0].fulfill(response=before)
    wait_until(lambda: page.evaluate("() => window.seen.length"))
    assert set(page.evaluate("() => window.seen")) == {"paused"}


def test_runs_say_what_was_sent_and_why_not(
    api: Api, beside: Simulator, opened: Callable[..., Page]
) -> None:
    wamid = beside.sent("447700900142", {"type": "text", "text": {"body": "Thank you, Ben"}})
    message, contact = uuid4(), uuid4()
    paid, reminder = rule("Paid"), rule("Reminder", trigger="trip_start")
    api.others[f"messages/{message}"] = {"status": "sent", "wa_message_id": wamid}
    api.others[f"messages/{message}"] |= {"decision": None, "error_code": None}
    api.others[f"messages/{message}"]["error_message"] = None
    api.others[f"contacts/{contact}"] = {"name": "Ben"}
    ran = run(paid, "done", message_id=message, contact_id=contact)
    api.ran(paid, ran)
    early = NOW - timedelta(seconds=1)
    for word in ("conditions", "denied: opted_out: they said STOP"):
        late = run(reminder, "skipped", reason=word, occurrence="2027-01-25", at=early)
        api.ran(reminder, late)
    mailed = rule("Mail", action="send_email")
    api.ran(mailed, run(mailed, "done", at=early, result={"email_id": str(uuid4())}))
    page = opened()
    expect(page.locator(".run")).to_have_count(4)
    expect(page.locator("#runs-total")).to_have_text("4: 2 done, 2 skipped")
    first = page.locator(".run").first
    for words in ("Paid", "Casa Verde · event · Ben", "occurrence INV-7", "done", "Thank you, Ben"):
        expect(first).to_contain_text(words)
    skipped = page.locator(".run", has_text="Reminder")
    expect(skipped.filter(has_text="its conditions did not hold")).to_have_count(1)
    expect(skipped.filter(has_text="denied: opted_out: they said STOP")).to_have_count(1)
    expect(page.locator(".run", has_text="Mail")).to_contain_text("An e-mail was queued")
    first.get_by_role("button", name=re.compile("Thank you, Ben")).click()
    expect(page.locator("#chat-about")).to_contain_text("Ben Whitfield")
    bubble = page.locator(f'.line[data-id="{wamid}"] .bubble')
    expect(bubble).to_be_focused()
    assert beside.shown("447700900142")[-1]["id"] == wamid


def test_another_days_runs_are_those_between_its_midnights(
    api: Api, opened: Callable[..., Page]
) -> None:
    paid = rule("Paid")
    page = opened()
    offset = page.evaluate("() => new Date(2026, 0, 15).getTimezoneOffset()")
    midnight = datetime.fromisoformat("2026-01-15T00:00:00+00:00") + timedelta(minutes=offset)
    times = {
        "before": midnight - timedelta(seconds=1),
        "first": midnight,
        "last": midnight + timedelta(hours=23, minutes=59),
        "after": midnight + timedelta(days=1),
    }
    api.ran(paid, *[run(paid, "done", at=at, occurrence=name) for name, at in times.items()])
    expect(page.locator("#runs-none")).to_be_visible()
    page.get_by_label("Day").fill("2026-01-15")
    expect(page.locator(".run .legend", has_text="occurrence")).to_have_text(
        ["occurrence last", "occurrence first"]
    )
    # A day that is over is asked once; campaigns go on.
    asked = [path for path in api.asked if path.startswith("rules")]
    more = len(api.asked) + 3
    wait_until(lambda: len(api.asked) > more)
    assert [path for path in api.asked if path.startswith("rules")] == asked


def test_a_day_that_ends_while_it_is_looked_at_is_shown_to_its_end(
    api: Api, opened: Callable[..., Page]
) -> None:
    page = opened()
    expect(page.locator("#runs-none")).to_be_visible()
    left = page.evaluate(
        "() => { const now = new Date(); return new Date(now.getFullYear(), now.getMonth(),"
        " now.getDate() + 1) - now; }"
    )
    page.clock.fast_forward(left + 2_000)
    paid = rule("Paid")
    api.ran(paid, run(paid, "done", at=NOW + timedelta(milliseconds=left - 1_000)))
    expect(page.locator(".run")).to_have_count(1)


def test_where_there_is_nothing_it_says_how_to_begin(api: Api, opened: Callable[..., Page]) -> None:
    page = opened()
    expect(page.locator("#campaigns-none")).to_contain_text("campaigns create --tenant casa-verde")
    expect(page.locator("#runs-none")).to_contain_text("There is no rule yet.")
    expect(page.locator("#runs-none")).to_contain_text("rules create --tenant casa-verde")
    api.ran(rule("Paid"))
    expect(page.locator("#runs-no-rules")).to_be_hidden()
    expect(page.locator("#runs-none")).to_be_visible()


def test_an_api_that_fails_is_not_taken_for_one_that_has_nothing(
    api: Api, opened: Callable[..., Page]
) -> None:
    api.broken = 503
    page = opened()
    told = "Casa Verde: the API answers 503: the database is away"
    for part in ("campaigns", "runs"):
        expect(page.locator(f"#{part}-troubles")).to_have_text(told)
        expect(page.locator(f"#{part}-none")).to_be_hidden()
    api.broken = None
    expect(page.locator("#campaigns-troubles")).to_have_text("")
    expect(page.locator("#campaigns-none")).to_be_visible()


def test_where_no_api_is_known_the_view_says_so(
    meta: Simulator, opened: Callable[..., Page]
) -> None:
    page = opened(meta)
    for part in ("campaigns", "runs"):
        expect(page.locator(f"#{part}-troubles")).to_contain_text("No API of a backend is known")
        expect(page.locator(f"#{part}-none")).to_be_hidden()


def test_the_view_stays_when_the_page_is_loaded_again(
    api: Api, opened: Callable[..., Page]
) -> None:
    page = opened()
    page.reload()
    expect(page.get_by_role("heading", name="Campaigns")).to_be_visible()
    expect(page.locator("#chat")).to_be_hidden()
    pressed = page.get_by_role("button", name="Business", exact=True)
    expect(pressed).to_have_attribute("aria-pressed", "true")


def test_what_others_write_is_never_read_as_html(api: Api, opened: Callable[..., Page]) -> None:
    nasty = "<img src=x onerror=\"document.title='owned'\">"
    api.show(
        campaign(nasty, "paused", pause_reason="by_hand", pause_detail=nasty),
        progress({"failed": 1}, reasons=[reason("failed", nasty, 1)]),
        nasty,
    )
    of = rule(nasty)
    api.ran(of, run(of, "skipped", reason=nasty, occurrence=nasty))
    page = opened()
    expect(page.locator(".run")).to_contain_text(nasty)
    expect(page.locator(".campaign h3")).to_have_text(nasty)
    assert page.locator("#business img").count() == 0
    assert "owned" not in page.title()


@pytest.mark.parametrize("width", [360, 701, 1024, 1400])
def test_it_fits_every_width(api: Api, opened: Callable[..., Page], width: int) -> None:
    states = ["read", "delivered", "sent", "queued", "pending", "failed", "denied", "skipped"]
    name = "Spring " * 12 + "x" * 16
    api.show(
        campaign(name, "paused", pause_reason="by_hand", pause_detail="y" * 200),
        progress(dict.fromkeys(states, 1234)),
    )
    of = rule("Reminder " * 12 + "x" * 80)
    api.ran(of, run(of, "skipped", reason="denied: " + "x" * 120, occurrence="z" * 90))
    page = opened()
    page.set_viewport_size({"width": width, "height": 800})
    expect(page.locator(".campaign")).to_have_count(1)
    expect(page.locator(".run")).to_have_count(1)
    assert not page.evaluate("() => document.documentElement.scrollWidth > innerWidth")
    for part in ("#campaigns", "#runs", "#business"):
        assert page.locator(part).evaluate("e => e.scrollWidth <= e.clientWidth")
    page.locator(".run").scroll_into_view_if_needed()
    expect(page.locator(".run")).to_be_in_viewport()
    # The other views are a press away.
    page.get_by_role("button", name="Phone", exact=True).click()
    expect(page.locator("#chat")).to_be_visible()
