"""The simulated numbers and block lists, as Switchboard's own client meets them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from switchboard.whatsapp.blocks import Blocked, Changed, Named, change_blocks, list_blocks
from switchboard.whatsapp.client import GraphClient, Rejected
from switchboard.whatsapp.numbers import (
    Overrides,
    fetch_states,
    read_overrides,
    read_profile,
    read_subscriptions,
    remove_override,
    subscribe,
    write_override,
    write_profile,
)
from tests.simulator_run import FIRST, SECOND, THIRD, Backend, Simulator, backend, simulator

Json = dict[str, Any]
ID, TOKEN = FIRST.phone_number_id, FIRST.access_token
URL = "https://acme.example/webhook"
ANA = {"user": "+525550001234"}


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Simulator, Backend]]:
    with backend() as receiver, simulator(receiver) as meta:
        yield meta, receiver


@pytest.fixture
def meta(running: tuple[Simulator, Backend]) -> Simulator:
    running[0].start_afresh()
    return running[0]


@pytest.fixture
def client(meta: Simulator) -> Iterator[GraphClient]:
    made = GraphClient(meta.url, "v23.0")
    yield made
    made.close()


def decide(meta: Simulator, **decision: Any) -> Json:
    answer = meta.http.post(f"/simulator/numbers/{ID}", json=decision)
    assert answer.status_code == 200, answer.text
    shown: Json = answer.json()
    return shown


def told(meta: Simulator) -> list[tuple[str, Json]]:
    """What the backend was told of numbers and accounts: each field with its value."""
    assert meta.flush() == 0
    return [
        (change["field"], change["value"])
        for received in meta.backend.received
        for entry in received.document["entry"]
        for change in entry["changes"]
        if change["field"] != "messages"
    ]


def states(client: GraphClient) -> Json:
    found = fetch_states(client, ID, TOKEN)
    assert isinstance(found, dict), found
    return found


def test_a_number_tells_of_itself_though_a_field_is_of_a_later_version(client: GraphClient) -> None:
    found = states(client)
    expected = {
        "quality": "GREEN",
        "throughput": "STANDARD",
        "messaging_limit": "TIER_2K",
        "verified_name": "Casa Verde",
        "status": "CONNECTED",
        "coexistence": False,
        "webhook": None,
        "account_mode": "LIVE",
        "code_verification": "VERIFIED",
        "name": {"decision": "APPROVED", "name": None, "reason": None},
    }
    assert {name: found[name] for name in expected} == expected
    assert found["health"]["can_send_message"] == "AVAILABLE"


def test_another_accounts_number_is_refused(client: GraphClient) -> None:
    refused = fetch_states(client, THIRD.phone_number_id, TOKEN)
    assert isinstance(refused, Rejected)
    assert (refused.code, refused.subcode) == (100, 33)


def test_what_is_decided_shows_in_the_fields_and_goes_out_as_webhooks(
    meta: Simulator, client: GraphClient
) -> None:
    decide(meta, quality="YELLOW", is_on_biz_app=True, status="FLAGGED")
    assert told(meta) == []  # nothing of it has a webhook
    decide(meta, quality="RED", throughput="HIGH", tier="TIER_10K")
    decide(meta, quality="GREEN", throughput="HIGH", tier="TIER_10K")
    found = states(client)
    assert [found[name] for name in ("quality", "throughput", "messaging_limit")] == [
        "GREEN",
        "HIGH",
        "TIER_10K",
    ]
    assert (found["coexistence"], found["status"]) == (True, "FLAGGED")
    about = {"display_phone_number": FIRST.display_phone_number}
    old = {"current_limit": "TIER_2K", "max_daily_conversations_per_business": "TIER_2K"}
    new = {"current_limit": "TIER_10K", "max_daily_conversations_per_business": "TIER_10K"}
    quality = "phone_number_quality_update"
    assert told(meta) == [
        (quality, {**about, "event": "FLAGGED", **old}),
        (quality, {**about, "event": "THROUGHPUT_UPGRADE", **old}),
        (quality, {**about, "event": "UPGRADE", "old_limit": "TIER_2K", **new}),
        (
            "business_capability_update",
            {"max_daily_conversations_per_business": "TIER_10K", "max_phone_numbers_per_waba": 25},
        ),
        (quality, {**about, "event": "UNFLAGGED", **new}),
    ]


@pytest.mark.parametrize(
    "wrong", [{"quality": "BLUE"}, {"tier": "TIER_7"}, {"colour": "red"}, {"throughput": 80}]
)
def test_a_word_that_meta_does_not_have_is_refused(meta: Simulator, wrong: Json) -> None:
    assert meta.http.post(f"/simulator/numbers/{ID}", json=wrong).status_code == 422
    assert meta.http.get("/simulator/numbers/7").status_code == 404
    assert meta.http.get(f"/simulator/numbers/{ID}").json()["quality"] == "GREEN"


def test_a_profile_is_changed_by_members(client: GraphClient) -> None:
    assert read_profile(client, ID, TOKEN) == {}
    first = {"about": "Open", "websites": [URL], "vertical": "RETAIL", "email": "a@acme.example"}
    assert write_profile(client, ID, TOKEN, first) is None
    assert write_profile(client, ID, TOKEN, {"email": "", "description": "x" * 512}) is None
    assert read_profile(client, ID, TOKEN) == {
        "about": "Open",
        "description": "x" * 512,
        "websites": [URL],
        "vertical": "RETAIL",
    }
    assert read_profile(client, SECOND.phone_number_id, TOKEN) == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"about": ""},
        {"about": "x" * 140},
        {"address": "x" * 257},
        {"description": "x" * 513},
        {"email": "nobody"},
        {"websites": [URL] * 3},
        {"websites": ["acme.example"]},
        {"websites": ["https://a.example/" + "x" * 250]},
        {"vertical": "CIRCUS"},
        {"colour": "red"},
    ],
)
def test_a_profile_beyond_its_limits_is_refused(client: GraphClient, wrong: Json) -> None:
    assert isinstance(write_profile(client, ID, TOKEN, wrong), Rejected)
    assert read_profile(client, ID, TOKEN) == {}


def test_an_override_is_kept_until_it_is_removed(meta: Simulator, client: GraphClient) -> None:
    app = meta.backend.url
    assert read_overrides(client, ID, TOKEN) == Overrides(None, None, app)
    assert write_override(client, ID, TOKEN, URL, "open sesame") is None
    assert read_overrides(client, ID, TOKEN) == Overrides(URL, None, app)
    assert states(client)["webhook"] == URL
    assert "sesame" not in meta.http.get("/simulator/requests").text
    assert isinstance(write_override(client, ID, TOKEN, "http://a.example", "x"), Rejected)
    assert isinstance(write_override(client, ID, TOKEN, URL, ""), Rejected)
    assert isinstance(write_override(client, ID, TOKEN, f"{URL}/{'x' * 200}", "x"), Rejected)
    assert remove_override(client, ID, TOKEN) is None
    assert read_overrides(client, ID, TOKEN) == Overrides(None, None, app)


def test_an_accounts_override_comes_and_goes_with_the_subscription(client: GraphClient) -> None:
    waba_id = FIRST.waba_id
    assert subscribe(client, waba_id, TOKEN, override=(URL, "open sesame")) is None
    apps = read_subscriptions(client, waba_id, TOKEN)
    assert isinstance(apps, list)
    assert [app.url for app in apps] == [URL]
    assert subscribe(client, waba_id, TOKEN) is None
    apps = read_subscriptions(client, waba_id, TOKEN)
    assert isinstance(apps, list)
    assert [app.url for app in apps] == [None]


# Blocks


def change(client: GraphClient, *people: Json, block: bool = True) -> Changed:
    found = change_blocks(client, ID, TOKEN, people, block=block)
    assert isinstance(found, Changed), found
    return found


def write(meta: Simulator, person: str = "ana") -> str:
    return str(meta.play(person, text="hello")["id"])


def test_only_who_wrote_in_the_last_day_can_be_blocked(
    meta: Simulator, client: GraphClient
) -> None:
    write(meta)
    found = change(client, ANA, {"user": "+447700900142"}, {"user": "+4915550009999"})
    assert found.taken == [Named("+525550001234", "5215550001234", "MX.508176302041297")]
    assert [(named.given, error.code) for named, error in found.failed] == [
        ("+447700900142", 131047),
        ("+4915550009999", 131047),
    ]
    write(meta, "ben")
    meta.clock.ahead = 24 * 3600 + 1
    assert change(client, {"user": "+447700900142"}).taken == []
    # Who is blocked already stays so.
    assert len(change(client, ANA).taken) == 1


def test_who_has_a_username_is_blocked_by_user_id(meta: Simulator, client: GraphClient) -> None:
    write(meta, "mei")
    user_id = "SG.134921770815460"
    assert change(client, {"user_id": user_id}).taken == [Named(user_id, None, user_id)]


def test_a_blocked_person_is_not_heard_and_not_reached(
    meta: Simulator, client: GraphClient
) -> None:
    first = write(meta)
    change(client, ANA)
    unheard = write(meta)
    wamid = meta.sent()
    assert meta.flush() == 0
    assert [one["id"] for one in meta.backend.messages()] == [first]
    (status,) = meta.backend.statuses(wamid)
    assert (status["status"], status["errors"][0]["code"]) == ("failed", 131026)
    assert [one["state"] for one in meta.shown("ana") if one["id"] == unheard] == ["sent"]
    # The other number has blocked nobody.
    other = meta.play("ana", text="hello", phone_number_id=SECOND.phone_number_id)
    change(client, ANA, block=False)
    again = write(meta)
    assert meta.flush() == 0
    assert [one["id"] for one in meta.backend.messages()] == [first, other["id"], again]
    reached = meta.sent()
    assert meta.flush() == 0
    assert meta.backend.words(reached) == ["sent", "delivered"]


def test_unblocking_twice_or_who_is_not_blocked_changes_nothing(
    meta: Simulator, client: GraphClient
) -> None:
    write(meta)
    for _ in range(2):
        assert len(change(client, ANA, block=False).taken) == 1
    nobody = change(client, {"user": "+4915550009999"}, block=False)
    assert (nobody.taken, len(nobody.failed)) == ([], 1)


def test_the_list_has_pages_and_survives_a_restart(tmp_path: Path) -> None:
    with backend() as receiver:
        with simulator(receiver, tmp_path) as first:
            client = GraphClient(first.url, "v23.0")
            for person in ("ana", "ben", "sam"):
                write(first, person)
            change(client, ANA, {"user": "+447700900142"}, {"user": "+12025550143"})
            client.close()
        with simulator(receiver, tmp_path) as second:
            client = GraphClient(second.url, "v23.0")
            seen: list[str | None] = []
            after: str | None = None
            for _ in range(10):
                page = list_blocks(client, ID, TOKEN, limit=2, after=after)
                assert isinstance(page, Blocked)
                seen += [one.wa_id for one in page.people]
                after = page.after
                if after is None:
                    break
            client.close()
    assert seen == ["5215550001234", "447700900142", "12025550143"]


@pytest.mark.parametrize("people", [[], [{}], [{"user": 7}]])
def test_a_body_without_people_is_refused(client: GraphClient, people: list[Json]) -> None:
    assert isinstance(change_blocks(client, ID, TOKEN, people, block=True), Rejected)
