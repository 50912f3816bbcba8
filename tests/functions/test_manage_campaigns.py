"""/v1/campaigns: made, shown, changed, started and stopped over HTTP, and by command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.campaigning import PARAMS, Campaigns, campaigns
from tests.databases import ClonedDatabase
from tests.managing import Desk

_ONE = "/v1/campaigns/{id}"


@pytest.fixture
def at(database: ClonedDatabase) -> Iterator[Campaigns]:
    with campaigns(database) as made:
        yield made


@pytest.fixture
def desk(at: Campaigns, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The function, for the tenant that has the template and the people."""
    made = Desk(at.world, monkeypatch)
    made.made.clock = at.clock  # type: ignore[assignment]
    made.key = at.place.add_key("campaigns:read", "campaigns:write")
    return made


def given(at: Campaigns, **more: Any) -> dict[str, Any]:
    return {
        "name": "Spring",
        "from": at.place.phone_number_id,
        "template": "offer",
        "template_params": PARAMS,
        "audience": {"type": "all_contacts"},
        **more,
    }


def made(desk: Desk, at: Campaigns, **more: Any) -> str:
    status, document = desk.call("POST /v1/campaigns", body=given(at, **more))
    assert status == 201, document
    found: str = document["campaign"]["id"]
    return found


def test_one_is_made_started_and_shown_to_its_end(desk: Desk, at: Campaigns) -> None:
    at.people(5)
    at.people(2, first=100, state="pending")
    campaign = made(desk, at)
    shown = desk.ok(f"GET {_ONE}", campaign)
    assert shown["campaign"]["status"] == "draft"
    assert shown["campaign"]["template_params"]["body"] == PARAMS["body"]
    assert desk.ok(f"POST {_ONE}/start", campaign)["campaign"]["status"] == "scheduled"
    at.clock.turn(5)
    at.work()
    shown = desk.ok(f"GET {_ONE}", campaign)
    assert shown["campaign"]["status"] == "completed"
    assert shown["progress"]["by_status"] == {"sent": 5, "skipped": 2}
    assert shown["progress"]["reasons"] == [
        {"status": "skipped", "reason": "not_opted_in", "recipients": 2}
    ]
    (row,) = desk.ok("GET /v1/campaigns", status="completed")["data"]
    assert (row["id"], row["sent_count"], row["skipped_count"]) == (campaign, 5, 2)
    assert desk.ok("GET /v1/campaigns", status="draft")["data"] == []


def test_recipients_are_listed_in_their_order_and_by_state(desk: Desk, at: Campaigns) -> None:
    phones = at.people(7)
    at.meta.answer = lambda phone: 131009 if phone == phones[2] else None
    campaign = made(desk, at)
    desk.ok(f"POST {_ONE}/start", campaign)
    at.clock.turn(5)
    at.work()
    rows = desk.pages(f"GET {_ONE}/recipients", campaign, limit=2)
    assert [row["position"] for row in rows] == list(range(1, 8))
    assert [row["phone_number"] for row in rows] == [f"+{phone}" for phone in phones]
    (failed,) = desk.pages(f"GET {_ONE}/recipients", campaign, status="failed")
    assert (failed["position"], failed["reason"]) == (3, "131009")
    assert desk.call(f"GET {_ONE}/recipients", campaign, status="lost")[0] == 400
    assert desk.call(f"GET {_ONE}/recipients", campaign, cursor="eA")[0] == 400
    at.meta.answer = lambda _: None
    status, retried = desk.call(f"POST {_ONE}/retry-failed", campaign)
    assert (status, retried) == (202, {"retried": 1, "more": False})
    at.clock.turn(5)
    at.work()
    assert at.meta.phones == dict.fromkeys(phones, 1)


def test_a_preview_is_what_the_person_would_get_and_whether(desk: Desk, at: Campaigns) -> None:
    one, other = at.people(1) + at.people(1, first=9, state="opted_out")
    campaign = made(desk, at)
    shown = desk.ok(f"POST {_ONE}/preview", campaign, body={"contact_id": str(at.contact(one))})
    assert shown["text"] == "Hello P0, come in!"
    assert shown["verdict"] == "allowed"
    assert shown["message"]["template"]["name"] == "offer"
    shown = desk.ok(f"POST {_ONE}/preview", campaign, body={"contact_id": str(at.contact(other))})
    assert (shown["verdict"], shown["decision"]["reason"]) == ("denied", "opted_out")
    params = {"body": {"1": "contact.company", "2": {"text": "x"}}}
    lacking = made(desk, at, template_params=params)
    shown = desk.ok(f"POST {_ONE}/preview", lacking, body={"contact_id": str(at.contact(one))})
    assert (shown["missing"], shown["message"]) == ("contact.company", None)
    status, _ = desk.call(f"POST {_ONE}/preview", campaign, body={"contact_id": str(campaign)})
    assert status == 404
    assert at.place.rows("whatsapp_messages") == []


def test_pause_resume_and_cancel(desk: Desk, at: Campaigns) -> None:
    at.people(50)
    campaign = made(desk, at, ramp={"per_minute": 1})
    assert desk.call(f"POST {_ONE}/pause", campaign)[0] == 409
    desk.ok(f"POST {_ONE}/start", campaign)
    at.clock.turn(5)
    at.work(1)
    shown = desk.ok(f"POST {_ONE}/pause", campaign, body={"note": "a typing error"})
    assert shown["campaign"]["pause_detail"] == "a typing error"
    assert "resume" in shown["what_to_do"]
    assert desk.ok(f"POST {_ONE}/resume", campaign)["campaign"]["status"] == "sending"
    assert desk.ok(f"POST {_ONE}/cancel", campaign)["campaign"]["status"] == "cancelled"
    at.clock.turn(5)
    at.work(60)
    assert desk.ok(f"GET {_ONE}", campaign)["progress"]["by_status"] == {"cancelled": 50}
    assert desk.call(f"POST {_ONE}/start", campaign)[0] == 409


def test_a_schedule_by_the_clock_of_a_zone(desk: Desk, at: Campaigns) -> None:
    campaign = made(desk, at)
    body = {"scheduled_at": "2040-07-01T09:00", "timezone": "Europe/Berlin"}
    shown = desk.ok(f"POST {_ONE}/schedule", campaign, body=body)["campaign"]
    assert (shown["status"], shown["scheduled_at"]) == ("scheduled", "2040-07-01T07:00:00+00:00")
    changed = desk.ok(f"PATCH {_ONE}", campaign, body={"scheduled_at": "2041-01-01T09:00"})
    assert changed["campaign"]["scheduled_at"] == "2041-01-01T08:00:00+00:00"
    assert changed["campaign"]["name"] == "Spring"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"template": "nowhere"}, "template"),
        ({"template_params": {}}, None),
        ({"template_params": {"body": {"1": {"text": "x"}, "3": {"text": "y"}}}}, None),
        ({"template_params": {"body": {"1": "contact.salary", "2": {"text": "x"}}}}, None),
        ({"audience": {"type": "everybody"}}, "audience"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"scheduled_at": "tomorrow"}, "scheduled_at"),
        ({"send_window": {"from": "20:00", "until": "09:00"}}, "send_window"),
        ({"ramp": {"per_minute": 0}}, "ramp.per_minute"),
        ({"failure_limit": 101}, "failure_limit"),
        ({"spending_cap": "10"}, None),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_name(
    desk: Desk, at: Campaigns, wrong: dict[str, Any], field: str | None
) -> None:
    status, document = desk.call("POST /v1/campaigns", body=given(at, **wrong))
    assert status == 422, document
    if field is not None:
        assert document["field"] == field
    assert at.place.rows("whatsapp_campaigns") == []


def test_a_number_that_is_not_known_is_not_found(desk: Desk, at: Campaigns) -> None:
    status, document = desk.call("POST /v1/campaigns", body=given(at, **{"from": "123"}))
    assert (status, document["field"]) == (404, "from")


def test_a_code_is_nobodys_to_send_to_many(desk: Desk, at: Campaigns) -> None:
    at.template(category="AUTHENTICATION", at=2)
    status, document = desk.call("POST /v1/campaigns", body=given(at))
    assert (status, document["field"]) == (422, "template")


def test_who_may_read_may_not_write(desk: Desk, at: Campaigns) -> None:
    campaign = made(desk, at)
    reader = at.place.add_key("campaigns:read")
    assert desk.call(f"GET {_ONE}", campaign, key=reader)[0] == 200
    assert desk.call("POST /v1/campaigns", body=given(at), key=reader)[0] == 403
    assert desk.call(f"POST {_ONE}/start", campaign, key=reader)[0] == 403


def test_a_body_with_unknown_members_starts_nothing(desk: Desk, at: Campaigns) -> None:
    campaign = made(desk, at)
    for verb in ("start", "resume", "cancel", "retry-failed"):
        assert desk.call(f"POST {_ONE}/{verb}", campaign, body={"force": True})[0] == 422, verb
    assert json.dumps(desk.ok(f"GET {_ONE}", campaign)).count('"draft"') == 1
