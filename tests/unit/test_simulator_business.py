"""What the simulator answers of the demo's businesses: asked of their API, with keys it keeps."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from local.simulator.config import Tenant, read_environment
from tests.business_api import NOW, Api, campaign, listening, progress, rule, run
from tests.simulator_run import Simulator, backend, simulator, wait_until

Json = dict[str, Any]
KEY = "sb_key_of_casa_verde"
CASA_VERDE = Tenant(slug="casa-verde", name="Casa Verde", api_key=KEY)
#: The stand-in does not know its key.
NORTHWIND = Tenant(slug="northwind", name="Northwind", api_key="sb_another")


@pytest.fixture(scope="module")
def listening_api() -> Iterator[Api]:
    with listening(KEY) as api:
        yield api


@pytest.fixture(scope="module")
def beside(listening_api: Api) -> Iterator[Simulator]:
    with (
        backend() as receiver,
        simulator(receiver, api_url=listening_api.url, tenants=(CASA_VERDE, NORTHWIND)) as meta,
    ):
        yield meta


@pytest.fixture
def api(listening_api: Api) -> Api:
    listening_api.start_afresh()
    return listening_api


def ask(meta: Simulator, what: str, **query: str) -> tuple[Json, Json]:
    """What it answers of the two tenants."""
    answer = meta.http.get(f"/simulator/business/{what}", params=query)
    assert answer.status_code == 200, answer.text
    assert KEY not in answer.text
    document = answer.json()
    assert document["api"] is True
    first, second = document["tenants"]
    assert (first["tenant"], first["name"]) == ("casa-verde", "Casa Verde")
    return first, second


def runs(meta: Simulator) -> list[Json]:
    first, _ = ask(meta, "runs", **around())
    assert first["error"] is None
    found: list[Json] = first["runs"]
    return found


def around() -> dict[str, str]:
    hour = timedelta(hours=1)
    return {"from": (NOW - hour).isoformat(), "until": (NOW + hour).isoformat()}


def test_a_tenant_whose_api_refuses_costs_itself_only(beside: Simulator, api: Api) -> None:
    api.show(campaign("Spring", "sending"), progress({"sent": 3, "pending": 5}))
    first, second = ask(beside, "campaigns")
    (shown,) = first["campaigns"]
    assert (shown["campaign"]["name"], shown["progress"]["total"]) == ("Spring", 8)
    assert first["error"] is None
    assert second == {
        "tenant": "northwind",
        "name": "Northwind",
        "error": "the API answers 401: the key is not known",
    }


def test_what_is_under_way_is_asked_each_time_and_what_has_ended_rarely(
    beside: Simulator, api: Api
) -> None:
    going = api.show(campaign("Going", "sending"))
    ended = api.show(campaign("Ended", "completed"))
    for _ in range(3):
        ask(beside, "campaigns")
    assert api.asked.count(f"campaigns/{going}") == 3
    assert api.asked.count(f"campaigns/{ended}") == 1


def test_nobody_waits_for_a_cost_that_takes_long(beside: Simulator, api: Api) -> None:
    going = api.show(campaign("Going", "sending"))
    path = f"campaigns/{going}/cost"
    held = api.held[path] = threading.Event()
    api.others[path] = {"complete": True}

    def cost() -> Json | None:
        found: Json | None = ask(beside, "campaigns")[0]["campaigns"][0]["cost"]
        return found

    assert [cost(), cost()] == [None, None]
    wait_until(lambda: path in api.asked)
    held.set()
    wait_until(cost)
    assert cost() == {"complete": True}
    assert api.asked.count(path) == 1


def test_a_cost_that_fails_is_left_out_and_not_asked_at_once_again(
    beside: Simulator, api: Api
) -> None:
    going = api.show(campaign("Going", "sending"))
    path = f"campaigns/{going}/cost"
    api.refused[path] = 503
    for _ in range(3):
        first, _ = ask(beside, "campaigns")
        assert (first["error"], first["campaigns"][0]["cost"]) == (None, None)
        wait_until(lambda: path in api.asked)
    assert api.asked.count(path) == 1


def test_a_deed_is_the_apis_own_and_so_is_its_refusal(beside: Simulator, api: Api) -> None:
    going = api.show(campaign("Going", "sending"))
    ended = api.show(campaign("Ended", "completed"))
    path = "/simulator/business/campaigns/casa-verde"
    answer = beside.http.post(f"{path}/{going}/pause")
    assert (answer.status_code, answer.json()["campaign"]["status"]) == (200, "paused")
    assert api.deeds == [(str(going), "pause")]
    refused = beside.http.post(f"{path}/{ended}/pause")
    assert refused.status_code == 409
    assert refused.json() == {
        "error": "the API answers 409: the campaign is completed, not sending"
    }


def test_nothing_else_can_be_asked_of_the_api_with_the_keys(beside: Simulator, api: Api) -> None:
    path = "/simulator/business/campaigns"
    one = uuid4()
    for wrong in (
        f"casa-verde/{one}/retry-failed",
        f"casa-verde/{one}/pause%2F..%2F..%2Fcontacts",
        "casa-verde/..%2Fcontacts/pause",
        f"nobody/{one}/pause",
    ):
        assert beside.http.post(f"{path}/{wrong}").status_code == 404
    assert api.asked == []


def test_the_runs_of_that_time_are_found_behind_newer_ones(beside: Simulator, api: Api) -> None:
    paid, late = rule("Paid"), rule("Late")
    day = timedelta(days=1)
    newer = [run(paid, "done", at=NOW + day * n) for n in range(1, 8)]
    older = [run(paid, "done", at=NOW - day * n) for n in range(1, 8)]
    own = run(paid, "skipped", reason="conditions")
    api.ran(paid, *newer, own, *older)
    api.ran(late, run(late, "skipped", at=NOW + timedelta(minutes=1), reason="late"))
    api.page = 2
    found = runs(beside)
    assert [(one["rule"], one["status"], one["reason"]) for one in found] == [
        ("Late", "skipped", "late"),
        ("Paid", "skipped", "conditions"),
    ]
    # Where the time has been passed nobody reads on: 7 newer ones, 1 of it, then an older one.
    assert len([asked for asked in api.asked if f"{paid.id}/runs" in asked]) == 5


def test_more_runs_than_are_shown_are_said_to_be_more(beside: Simulator, api: Api) -> None:
    paid = rule("Paid")
    api.ran(paid, *[run(paid, "done", at=NOW + timedelta(seconds=n)) for n in range(120)])
    first, _ = ask(beside, "runs", **around())
    assert (len(first["runs"]), first["more"], first["rules"]) == (100, True, 1)
    assert first["runs"][0]["id"] == str(api.runs[-1].id)


def test_a_run_says_whom_it_is_for_and_what_it_is_about(beside: Simulator, api: Api) -> None:
    reminder, contact = rule("Reminder", trigger="trip_start"), uuid4()
    ran = [run(reminder, "skipped", contact_id=contact, reason="cool_down") for _ in range(9)]
    api.ran(reminder, *ran)
    api.others[f"contacts/{contact}"] = {"name": None, "profile_name": "Ana", "phone_number": "+1"}
    trips = [{"id": str(one.subject_id), "title": f"Lisbon {n}"} for n, one in enumerate(ran)]
    api.others["trips"] = {"data": trips}
    found = runs(beside)
    assert {one["who"] for one in found} == {"Ana"}
    assert {one["about"] for one in found} == {f"Lisbon {n}" for n in range(9)}
    runs(beside)
    # Nine runs are one person's, and names change rarely.
    assert api.asked.count(f"contacts/{contact}") == 1
    assert api.asked.count(f"trips?contact_id={contact}&limit=200") == 1
    # Another trip of that person's was not in the answer that is kept.
    later = run(reminder, "done", contact_id=contact)
    api.ran(reminder, later)
    trips.append({"id": str(later.subject_id), "title": "Porto"})
    assert "Porto" in {one["about"] for one in runs(beside)}


def test_a_message_is_found_on_the_phone(beside: Simulator, api: Api) -> None:
    beside.start_afresh()
    wamid = beside.sent()
    paid, sent, waiting = rule("Paid"), uuid4(), uuid4()
    api.ran(paid, run(paid, "done", message_id=sent))
    api.ran(paid, run(paid, "done", message_id=waiting, at=NOW - timedelta(minutes=1)))
    nothing = {"error_message": None, "error_code": None, "decision": None}
    api.others[f"messages/{sent}"] = {"status": "sent", "wa_message_id": wamid, **nothing}
    deferred = {"reason": "quiet_hours"}
    api.others[f"messages/{waiting}"] = {
        "status": "pending",
        "wa_message_id": None,
        **nothing,
        "decision": deferred,
    }
    for _ in range(2):
        runs(beside)
    first, second = runs(beside)
    message = first["message"]
    assert message["status"] in {"accepted", "sent", "delivered"}
    del message["status"]
    assert message == {
        "id": str(sent),
        "said": None,
        "wamid": wamid,
        "contact": "ana",
        "phone_number_id": "310000000000001",
        "preview": "hello",
    }
    assert second["message"] == {"id": str(waiting), "status": "pending", "said": "quiet_hours"}
    # What has left is known for good, what waits is asked again.
    assert api.asked.count(f"messages/{sent}") == 1
    assert api.asked.count(f"messages/{waiting}") == 3


def test_a_denied_run_has_no_message_to_show(beside: Simulator, api: Api) -> None:
    paid = rule("Paid")
    api.ran(paid, run(paid, "skipped", message_id=uuid4(), reason="denied: opted_out: …"))
    (found,) = runs(beside)
    assert found["message"] is None


@pytest.mark.parametrize(
    "query", [{}, {"from": "yesterday", "until": "today"}, {"from": "2026-01-01T00:00:00"}]
)
def test_a_time_without_its_offset_is_refused(
    beside: Simulator, api: Api, query: dict[str, str]
) -> None:
    asked = {"until": "2026-01-02T00:00:00+00:00"} | query if query else query
    answer = beside.http.get("/simulator/business/runs", params=asked)
    assert answer.status_code == 422
    assert "from and until" in answer.json()["error"]
    assert api.asked == []


def test_an_api_that_is_away_or_broken_is_told_in_words(beside: Simulator, api: Api) -> None:
    api.broken = 503
    first, _ = ask(beside, "campaigns")
    assert first["error"] == "the API answers 503: the database is away"
    with (
        backend() as receiver,
        simulator(receiver, api_url="http://127.0.0.1:9", tenants=(CASA_VERDE,)) as alone,
    ):
        (tenant,) = alone.http.get("/simulator/business/campaigns").json()["tenants"]
        assert tenant["error"] == "the API is away (ConnectError)"


def test_where_no_api_is_known_it_says_so(meta: Simulator) -> None:
    for what in ("campaigns", "runs"):
        answer = meta.http.get(f"/simulator/business/{what}", params=around())
        assert answer.json() == {"api": False, "tenants": []}


def test_the_environment_may_name_an_api_with_its_tenants() -> None:
    needed = {
        "WEBHOOK_URL": "http://127.0.0.1:1/webhook",
        "META_APP_SECRET": "s",
        "META_VERIFY_TOKEN": "v",
        "SIMULATOR_NUMBERS": "[]",
    }
    assert read_environment(needed).tenants == ()
    tenants = '[{"slug": "casa-verde", "name": "Casa Verde", "api_key": "sb_key_of_casa_verde"}]'
    given = needed | {"API_URL": "http://127.0.0.1:2", "SIMULATOR_TENANTS": tenants}
    config = read_environment(given)
    assert (config.api_url, config.tenants) == ("http://127.0.0.1:2", (CASA_VERDE,))
