"""Rules over HTTP and by command: the same use cases, errors that name the member."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from switchboard.__main__ import DONE
from tests.commanding import CommandLine
from tests.managing import Desk, column

NEW: dict[str, Any] = {
    "name": "Reminder",
    "trigger_type": "trip_start",
    "trigger_config": {"days_before": 1},
    "action_type": "send_whatsapp",
    "action_config": {"template": "trip_reminder", "parameters": ["contact.name"]},
}


def create(desk: Desk, **more: Any) -> dict[str, Any]:
    status, made = desk.call("POST /v1/rules", body={**NEW, **more})
    assert status == 201, made
    return made


def test_a_rule_is_made_shown_changed_and_forgotten(desk: Desk) -> None:
    made = create(desk, cool_down_s=3600, metadata={"team": "ops"})
    assert {name: made[name] for name in NEW} == NEW
    assert (made["is_active"], made["cool_down_s"], made["grace_s"]) == (True, 3600, 86_400)
    assert desk.ok("GET /v1/rules/{id}", made["id"]) == made
    change = {"is_active": False, "cool_down_s": None, "grace_s": 600}
    changed = desk.ok("PATCH /v1/rules/{id}", made["id"], body=change)
    assert {name: changed[name] for name in change} == change
    assert changed["metadata"] == {"team": "ops"}
    assert desk.ok("DELETE /v1/rules/{id}", made["id"]) == changed
    assert desk.call("GET /v1/rules/{id}", made["id"])[0] == 404
    assert desk.call("DELETE /v1/rules/{id}", made["id"])[0] == 404


def test_lists_go_on_where_they_stopped(desk: Desk) -> None:
    names = [str(n) for n in range(5)]
    for name in names:
        create(desk, name=name)
    assert column(desk.pages("GET /v1/rules", limit="2"), "name") == names[::-1]


def test_runs_are_listed_with_their_reasons(desk: Desk) -> None:
    rule = create(desk)
    desk.world.everything.execute(
        "insert into messaging.automation_runs (tenant_id, rule_id, subject_id, occurrence,"
        " due_at, status, reason, started_at, finished_at)"
        " select %s, %s, gen_random_uuid(), n::text, now(),"
        " case when n = 1 then 'done' else 'skipped' end, case when n > 1 then 'late' end,"
        " now() + n * interval '1 second', now() from generate_series(1, 4) as n",
        (desk.place.tenant_id, rule["id"]),
    )
    runs = desk.ok("GET /v1/rules/{id}/runs", rule["id"])["data"]
    assert column(runs, "occurrence") == ["4", "3", "2", "1"]
    late = desk.ok("GET /v1/rules/{id}/runs", rule["id"], status="skipped", limit="2")
    assert column(late["data"], "reason") == ["late", "late"]
    assert late["next_cursor"]
    assert desk.call("GET /v1/rules/{id}/runs", uuid4())[0] == 404


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"trigger_type": "moon"}, "trigger_type"),
        ({"action_type": "shout"}, "action_type"),
        ({"trigger_config": {"days_before": "1"}}, "trigger_config.days_before"),
        ({"action_config": {"template": "t", "parameter": []}}, "action_config.parameter"),
        ({"conditions": {"field": "trip.status", "op": "is"}}, "conditions.op"),
        ({"grace_s": 10}, "grace_s"),
        ({"cap_per_contact": 0}, "cap_per_contact"),
    ],
)
def test_what_is_wrong_is_named(desk: Desk, wrong: dict[str, Any], field: str) -> None:
    status, problem = desk.call("POST /v1/rules", body={**NEW, **wrong})
    assert (status, problem["field"]) == (422, field)
    rule = create(desk)
    status, problem = desk.call("PATCH /v1/rules/{id}", rule["id"], body=wrong)
    assert (status, problem["field"]) == (422, field)
    assert desk.ok("GET /v1/rules/{id}", rule["id"]) == rule


def test_a_contact_that_nobody_knows_is_a_404(desk: Desk) -> None:
    status, problem = desk.call("POST /v1/rules", body={**NEW, "contact_id": str(uuid4())})
    assert (status, problem["field"]) == (404, "contact_id")


def test_rules_by_command(desk: Desk, call: CommandLine) -> None:
    tenant = ("--tenant", desk.place.tenant_id)
    given = ["--name", "Reminder", "--trigger-type", "trip_start", "--action-type", "send_whatsapp"]
    given += ["--trigger-config", '{"days_before": 1}', "--action-config", '{"template": "t"}']
    code, out, err = call("rules", "create", *tenant, *given, "--json")
    assert (code, err) == (DONE, "")
    rule = json.loads(out)
    which = (*tenant, "--rule", rule["id"])
    code, out, _ = call("rules", "update", *which, "--no-is-active", "--json")
    assert (code, json.loads(out)["is_active"]) == (DONE, False)
    assert json.loads(out)["trigger_config"] == {"days_before": 1}
    code, out, _ = call("rules", "show", *which, "--json")
    assert json.loads(out) == desk.ok("GET /v1/rules/{id}", rule["id"])
    code, out, _ = call("rules", "runs", *which, "--json")
    assert json.loads(out) == {"data": [], "next_cursor": None}
    code, out, _ = call("rules", "list", *tenant)
    assert out.splitlines()[0].split()[:2] == ["id", "name"]
    assert call("rules", "delete", *which)[0] == DONE
    assert desk.ok("GET /v1/rules")["data"] == []
