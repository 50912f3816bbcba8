"""Dry run of a rule, by route and by command: what it would have done, told and not done."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from switchboard import __main__ as command_line
from tests.managing import Desk

Json = dict[str, Any]
RULE: Json = {
    "name": "Reminder",
    "trigger_type": "trip_start",
    "trigger_config": {"days_before": 1},
    "action_type": "send_whatsapp",
    "action_config": {"template": "reminder", "category": "utility"},
}


def put_trip(desk: Desk, days: int) -> None:
    """Give somebody a trip that begins so many days from now."""
    now = desk.place.time.now
    person = desk.place.person()
    body = {
        "contact_id": str(person.contact_id),
        "start_date": (now + timedelta(days=days)).date().isoformat(),
    }
    status, trip = desk.call(f"PUT /v1/trips/{'{external_id}'}", f"T{days}", body=body)
    assert status in {200, 201}, trip


def test_a_rule_that_is_not_made_is_tried_by_the_body_that_makes_it(desk: Desk) -> None:
    put_trip(desk, -1)
    put_trip(desk, 5)
    told = desk.ok("POST /v1/rules/dry-run", body=RULE)
    assert (told["occurrences"], told["messages"], told["people"]) == (1, 1, 1)
    assert told["cost"] == {
        "messages": 1,
        "free": 0,
        "undelivered": 0,
        "unknown": 1,
        "by_currency": [],
    }
    (one,) = told["data"]
    assert (one["result"], one["category"]) == ("sent", "utility")
    assert desk.ok("GET /v1/rules")["data"] == []
    status, problem = desk.call("POST /v1/rules/dry-run", body={**RULE, "trigger_config": {}})
    assert (status, problem["field"]) == (422, "trigger_config")


def test_a_rule_that_is_made_is_tried_over_the_stretch_that_is_named(desk: Desk) -> None:
    made = desk.call("POST /v1/rules", body={**RULE, "is_active": False})[1]
    for days in (-2, -9):
        put_trip(desk, days)
    road = "POST /v1/rules/{id}/dry-run"
    assert desk.ok(road, made["id"])["occurrences"] == 1
    now = desk.place.time.now
    body = {"from": (now - timedelta(days=20)).isoformat(), "until": now.isoformat(), "limit": 1}
    told = desk.ok(road, made["id"], body=body)
    assert (told["occurrences"], len(told["data"])) == (2, 1)
    status, problem = desk.call(road, made["id"], body={"from": "2020-01-01T00:00:00Z"})
    assert (status, problem["field"]) == (422, "from")
    status, problem = desk.call(road, made["id"], body={"until": "0001-01-02T00:00:00Z"})
    assert (status, problem["field"]) == (422, "until")
    assert desk.place.rows("automation_runs") == []


def test_the_command_tries_either(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", desk.world.database.app_url)
    made = desk.call("POST /v1/rules", body=RULE)[1]
    run = ["rules", "dry-run", "--tenant", str(desk.place.tenant_id), "--json"]
    assert command_line.main([*run, "--rule", made["id"]]) == 0
    assert json.loads(capsys.readouterr().out)["occurrences"] == 0
    assert command_line.main([*run, "--document", json.dumps(RULE), "--limit", "3"]) == 0
    assert json.loads(capsys.readouterr().out)["data"] == []
    assert command_line.main(run) == 1
    assert "exactly one of rule and document" in capsys.readouterr().err
