"""Opt-in and opt-out through the API: by phone, of people never seen before, a thousand at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from switchboard.inbox.consents import ConsentBatch, record_consents
from switchboard.kernel.clock import Clock
from tests.managing import START, Desk

PHONE = "4915550000001"
ROUTE = "POST /v1/consents"
BATCH = "POST /v1/consents/batch"


def said(state: str = "given", **more: Any) -> dict[str, Any]:
    return {"state": state, "wording": "a form", **more}


def states(desk: Desk) -> dict[str, str]:
    return {row["phone_number"]: row["opt_in_status"] for row in desk.place.rows("contacts")}


@pytest.mark.parametrize(("state", "status"), [("given", "opted_in"), ("withdrawn", "opted_out")])
def test_somebody_never_seen_before_opts_in_or_out_by_phone(
    desk: Desk, state: str, status: str
) -> None:
    at = START - timedelta(days=3)
    body = said(state, phone=f"+{PHONE}", occurred_at=at.isoformat())
    made = desk.ok(ROUTE, body=body)
    (contact,) = desk.place.rows("contacts")
    assert made["contact_id"] == str(contact["id"])
    assert (contact["phone_number"], contact["opt_in_status"]) == (f"+{PHONE}", status)
    assert contact[f"{status}_at"] == at
    (row,) = desk.place.rows("consents")
    assert (row["source"], row["wording"], row["state"]) == ("api", "a form", state)
    assert row["occurred_at"] == at
    # Who then writes is that person.
    desk.hear(PHONE, "hello")
    assert states(desk) == {f"+{PHONE}": status}


def test_a_phone_in_another_national_form_is_the_same_person(desk: Desk) -> None:
    first = desk.ok(ROUTE, body=said(phone="5215550001234"))
    second = desk.ok(ROUTE, body=said("withdrawn", phone="+525550001234"))
    assert first["contact_id"] == second["contact_id"]
    assert list(states(desk).values()) == ["opted_out"]


def test_the_phone_of_somebody_deleted_is_somebody_new(desk: Desk) -> None:
    old = desk.ok(ROUTE, body=said("withdrawn", phone=PHONE))["contact_id"]
    desk.set("contacts", old, deleted_at=START)
    assert desk.ok(ROUTE, body=said(phone=PHONE))["contact_id"] != old


def test_either_a_contact_or_a_phone_is_named(desk: Desk) -> None:
    for wrong in (said(), said(phone=PHONE, contact_id=str(uuid4()))):
        assert desk.call(ROUTE, body=wrong)[0] == 422
    status, problem = desk.call(ROUTE, body=said(phone="123"))
    assert (status, problem["field"]) == (422, "phone")
    assert desk.place.rows("contacts") == []


def test_each_of_a_batch_is_answered_by_itself(desk: Desk) -> None:
    desk.hear(PHONE, "STOP")
    (known,) = desk.place.rows("contacts")
    body = {
        "consents": [
            said(contact_id=str(known["id"])),
            said(phone="4915550000002"),
            said(phone="4915550000003", state="perhaps"),
            said("withdrawn", phone="4915550000004"),
            said(contact_id=str(uuid4())),
            said("withdrawn", phone="4915550000002", occurred_at="2020-01-01T00:00:00Z"),
            said(phone="4915550000005", colour="red"),
        ]
    }
    results = desk.ok(BATCH, body=body)["results"]
    assert [one["status_code"] for one in results] == [200, 200, 422, 200, 404, 200, 422]
    assert [results[n]["field"] for n in (2, 4, 6)] == ["state", "contact_id", "colour"]
    assert results[0]["contact_id"] == str(known["id"])
    assert results[1]["contact_id"] == results[5]["contact_id"]
    assert [results[n]["state"] for n in (1, 3, 5)] == ["given", "withdrawn", "withdrawn"]
    assert states(desk) == {
        f"+{PHONE}": "opted_in",
        "+4915550000002": "opted_in",
        "+4915550000004": "opted_out",
    }


def test_an_import_that_is_run_again_adds_nothing(desk: Desk) -> None:
    timed = [
        said(phone=f"49155500000{n:02}", occurred_at="2026-03-01T12:00:00Z") for n in range(20)
    ]
    first = desk.ok(BATCH, body={"consents": timed})
    # In another order, with one of them twice, its time in another zone.
    same = {**timed[3], "occurred_at": "2026-03-01T14:00:00+02:00"}
    second = desk.ok(BATCH, body={"consents": [same, *timed[::-1]]})
    assert second["results"] == [first["results"][3], *first["results"][::-1]]
    assert len(desk.place.rows("consents")) == 20
    # Without a time each is a statement of its own.
    for _ in range(2):
        desk.ok(BATCH, body={"consents": [said(phone=PHONE)]})
    assert len(desk.place.rows("consents")) == 22


def test_a_batch_has_one_to_a_thousand(desk: Desk) -> None:
    people = [said(phone=f"4915550{n:06}") for n in range(1001)]
    for wrong in ([], people, [7]):
        assert desk.call(BATCH, body={"consents": wrong})[0] == 422
    assert desk.place.rows("contacts") == []
    long = [{**one, "wording": "ü" * 500} for one in people[:1000]]
    results = desk.ok(BATCH, body={"consents": long})["results"]
    assert {one["status_code"] for one in results} == {200}
    assert set(states(desk).values()) == {"opted_in"}
    assert len(states(desk)) == 1000


def test_two_imports_of_the_same_people_at_once_do_not_collide(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(200):
        desk.place.person(f"4915550{n:06}")
    # By their ids: who names phones waits for the first phone's row already.
    people = [
        said(contact_id=str(row["id"]), occurred_at="2026-03-01T12:00:00Z")
        for row in desk.place.rows("contacts")
    ]
    batches = [ConsentBatch(consents=people), ConsentBatch(consents=people[::-1])] * 2
    collided: list[float] = []
    monkeypatch.setattr("switchboard.transact.time.sleep", collided.append)

    def run(batch: ConsentBatch) -> set[int]:
        made = record_consents(desk.world.tools(Clock()), desk.place.tenant_id, batch)
        return {one["status_code"] for one in made.results}

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, batches)) == [{200}] * 4
    assert collided == []
    assert len(desk.place.rows("consents")) == 200
