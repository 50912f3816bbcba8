"""/v1/consents: the history of what people have agreed to, and what they said elsewhere."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.managing import START, Desk

PHONE = "4915550000001"


def contact_of(desk: Desk) -> dict[str, Any]:
    (row,) = desk.place.rows("contacts")
    return row


def record(desk: Desk, state: str, **more: Any) -> dict[str, Any]:
    body = {"contact_id": str(contact_of(desk)["id"]), "state": state, "wording": "a form", **more}
    return desk.ok("POST /v1/consents", body=body)


def test_what_was_said_elsewhere_counts_like_a_word(desk: Desk) -> None:
    desk.hear(PHONE, "STOP")
    assert contact_of(desk)["opt_in_status"] == "opted_out"
    made = record(desk, "given")
    assert (made["scope"], made["source"], made["wording"]) == ("messages", "api", "a form")
    assert contact_of(desk)["opt_in_status"] == "opted_in"
    record(desk, "withdrawn", occurred_at=(START - timedelta(days=1)).isoformat())
    assert contact_of(desk)["opt_in_status"] == "opted_in"
    assert contact_of(desk)["opted_out_at"] == START
    future = record(desk, "withdrawn", occurred_at="2199-01-01T00:00:00Z")
    assert future["occurred_at"] < "2190"
    assert contact_of(desk)["opt_in_status"] == "opted_out"


def test_the_history_is_walked_the_newest_first(desk: Desk) -> None:
    desk.hear(PHONE, "STOP", "hello", "START")
    record(desk, "given")
    rows = desk.pages("GET /v1/consents", limit=1)
    assert [(row["source"], row["state"]) for row in rows] == [
        ("api", "given"),
        *[("keyword", "given"), ("keyword", "withdrawn")],
    ]
    desk.hear("4915550000002", "STOP")
    other = next(row["contact_id"] for row in desk.pages("GET /v1/consents"))
    assert other != str(contact_id := rows[0]["contact_id"])
    assert desk.pages("GET /v1/consents", contact_id=contact_id, limit=2) == rows
    assert len(desk.pages("GET /v1/consents")) == 4
    assert desk.ok("GET /v1/consents", contact_id=uuid4())["data"] == []


def test_a_merged_contact_is_the_one_it_became(desk: Desk) -> None:
    desk.hear(PHONE, "STOP")
    desk.hear("4915550000002", "hello")
    rows = sorted(desk.place.rows("contacts"), key=lambda row: row["created_at"])
    winner, loser = (str(row["id"]) for row in rows)
    desk.world.everything.execute(
        "select messaging.merge_contacts(%s, %s::uuid[], 'late_pairing')",
        (desk.place.tenant_id, [winner, loser]),
    )
    assert len(desk.ok("GET /v1/consents", contact_id=loser)["data"]) == 1
    body = {"contact_id": loser, "state": "given", "wording": "on the phone"}
    assert desk.ok("POST /v1/consents", body=body)["contact_id"] == winner


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("state", "perhaps"),
        ("wording", ""),
        ("wording", "x" * 501),
        ("contact_id", "me"),
        ("occurred_at", "2027-01-31T00:00:00"),
        # The year before the first, where Postgres keeps its times.
        ("occurred_at", "0001-01-01T00:00:00+14:00"),
    ],
)
def test_a_wrong_member_is_named(desk: Desk, field: str, wrong: str) -> None:
    desk.hear(PHONE)
    body = {"contact_id": str(contact_of(desk)["id"]), "state": "given", "wording": "a form"}
    status, problem = desk.call("POST /v1/consents", body={**body, field: wrong})
    assert (status, problem["field"]) == (422, field)
    assert desk.place.rows("consents") == []


def test_nobody_agrees_for_somebody_deleted(desk: Desk) -> None:
    desk.hear(PHONE)
    contact = contact_of(desk)
    desk.set("contacts", contact["id"], deleted_at=START)
    body = {"contact_id": str(contact["id"]), "state": "given", "wording": "a form"}
    assert desk.call("POST /v1/consents", body=body)[0] == 404
