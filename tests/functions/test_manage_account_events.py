"""/v1/account-events: what Meta told about accounts, read by route and by command."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from switchboard.__main__ import DONE, main
from switchboard.access import SCOPES
from switchboard.inbox import account_events
from switchboard.intake.store import store as take_in
from tests.databases import ClonedDatabase
from tests.managing import Desk, column

ROUTE = "GET /v1/account-events"
#: When the first event of a test came; each later one comes a minute later.
CAME = datetime(2027, 3, 4, 12, 0, tzinfo=UTC)


def put(desk: Desk, event: str, minute: int = 0, **columns: Any) -> str:
    """Put an event in as intake does, received that many minutes after CAME."""
    values = {
        "tenant_id": desk.place.tenant_id,
        "waba_id": desk.place.waba_id,
        "account_id": None,
        "field": "security",
        "occurred_at": None,
        **columns,
    }
    (row,) = desk.world.everything.execute(
        "insert into messaging.whatsapp_account_events (tenant_id, waba_id, account_id, field,"
        " occurred_at, event, detail, sha256, created_at) values (%s, %s, %s, %s, %s, %s, '{}',"
        " sha256(%s), %s) returning id",
        (*values.values(), event, uuid4().bytes, CAME + timedelta(minutes=minute)),
    )
    return str(row[0])


def words(desk: Desk, **filters: Any) -> list[str]:
    found: list[str] = column(desk.pages(ROUTE, **filters), "event")
    return found


def test_what_meta_tells_is_read_whole(desk: Desk) -> None:
    error = {"code": 130429, "title": "Rate limit hit"}
    value = {"metadata": {"phone_number_id": desk.place.phone_number_id}, "errors": [error]}
    change = {"field": "messages", "value": value}
    review = {"field": "account_review_update", "value": {"decision": "APPROVED"}}
    entry = {"id": desk.place.waba_id, "time": 1_790_000_000, "changes": [change, review]}
    take_in(desk.made, json.dumps({"entry": [entry]}).encode(), None)

    rows = sorted(desk.pages(ROUTE), key=lambda row: str(row["field"]))

    shown = {key: rows[0][key] for key in ("waba_id", "phone_number_id", "field", "event")}
    assert shown == {
        "waba_id": desk.place.waba_id,
        "phone_number_id": desk.place.phone_number_id,
        "field": "account_errors",
        "event": "130429",
    }
    assert rows[0]["detail"] == {"errors": [error]}
    assert datetime.fromisoformat(rows[0]["occurred_at"]).timestamp() == 1_790_000_000
    assert (rows[1]["account_id"], rows[1]["phone_number_id"]) == (None, None)
    assert rows[1]["detail"] == {"decision": "APPROVED"}


def test_the_newest_received_is_first_whatever_time_meta_tells(desk: Desk) -> None:
    put(desk, "timeless", 1)
    put(desk, "late", 2, occurred_at=CAME - timedelta(days=9))
    put(desk, "early", 0, occurred_at=CAME + timedelta(days=9))
    assert words(desk) == ["late", "timeless", "early"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_a_walk_by_cursors_sees_each_event_once(desk: Desk, limit: int) -> None:
    # Several came with one delivery: at one time.
    made = [put(desk, "x", minute // 3) for minute in range(7)]
    rows = desk.pages(ROUTE, limit=limit)
    assert sorted(column(rows, "id")) == sorted(made)
    assert rows == sorted(rows, key=lambda row: (row["created_at"], row["id"]), reverse=True)


def test_what_comes_during_a_walk_disturbs_it_not(desk: Desk) -> None:
    for minute in range(4):
        put(desk, f"{minute}", minute)
    first = desk.ok(ROUTE, limit=2)
    put(desk, "new", 9, occurred_at=CAME - timedelta(days=1))
    second = desk.ok(ROUTE, limit=2, cursor=first["next_cursor"])
    assert column(first["data"] + second["data"], "event") == ["3", "2", "1", "0"]
    assert second["next_cursor"] is None


def test_filters_leave_what_fits_all_of_them(desk: Desk) -> None:
    other = desk.world.everything.execute(
        "insert into messaging.whatsapp_business_accounts (tenant_id, waba_id)"
        " values (%s, '77') returning waba_id",
        (desk.place.tenant_id,),
    ).fetchone()
    assert other == ("77",)
    account = desk.place.account_id
    put(desk, "PIN_CHANGED", 0, account_id=account)
    put(desk, "PIN_CHANGED", 1, waba_id="77")
    put(desk, "APPROVED", 2, field="account_review_update")

    assert words(desk, waba_id="77") == ["PIN_CHANGED"]
    assert words(desk, waba_id=desk.place.waba_id) == ["APPROVED", "PIN_CHANGED"]
    for number in (account, desk.place.phone_number_id):
        assert column(desk.pages(ROUTE, number=number), "account_id") == [str(account)]
    assert words(desk, number="1") == []
    assert words(desk, field="account_review_update") == ["APPROVED"]
    assert words(desk, event="PIN_CHANGED") == ["PIN_CHANGED"] * 2
    assert words(desk, event="PIN_CHANGED", waba_id="77", field="security") == ["PIN_CHANGED"]
    assert words(desk, event="PIN_CHANGED", field="account_review_update") == []


def test_since_is_within_and_until_is_without(desk: Desk) -> None:
    for minute in range(4):
        put(desk, f"{minute}", minute)

    def at(minute: int) -> str:
        return (CAME + timedelta(minutes=minute)).isoformat()

    assert words(desk, since=at(2)) == ["3", "2"]
    assert words(desk, until=at(2)) == ["1", "0"]
    assert words(desk, since=at(1), until=at(3), limit=1) == ["2", "1"]
    assert words(desk, since=at(3), until=at(1)) == []


def test_where_filters_leave_few_a_page_ends_and_the_walk_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_events, "WALK", 3)
    for minute in range(10):
        put(desk, "wanted" if minute in {0, 4} else "x", minute)
    page = desk.ok(ROUTE, event="wanted")
    assert page["data"] == []
    assert page["next_cursor"] is not None
    assert words(desk, event="wanted") == ["wanted"] * 2
    assert words(desk, event="x", limit=2) == ["x"] * 8


def test_a_cursor_of_other_filters_or_of_nobody_is_refused(desk: Desk) -> None:
    for minute in range(3):
        put(desk, "x", minute)
    cursor = desk.ok(ROUTE, limit=1, event="x")["next_cursor"]
    assert desk.ok(ROUTE, limit=2, event="x", cursor=cursor)["data"]
    for wrong in ({"cursor": cursor}, {"cursor": cursor, "event": "y"}, {"cursor": "e30"}):
        status, problem = desk.call(ROUTE, **wrong)
        assert (status, problem["field"]) == (400, "cursor")
    for wrong in ({"since": "yesterday"}, {"until": "2027-01-31T00:00:00"}, {"limit": 201}):
        status, problem = desk.call(ROUTE, **wrong)
        assert (status, problem["field"]) == (400, next(iter(wrong)))


def test_another_tenant_reads_nothing_of_it(desk: Desk) -> None:
    put(desk, "PIN_CHANGED", account_id=desk.place.account_id)
    other = desk.world.place()
    key = other.add_key("account_events:read")
    for filters in ({}, {"waba_id": desk.place.waba_id}, {"number": desk.place.account_id}):
        document = desk.ok(ROUTE, key=key, **filters)
        assert document == {"data": [], "next_cursor": None}
        assert len(desk.ok(ROUTE, **filters)["data"]) == 1


def test_only_its_scope_opens_it(desk: Desk) -> None:
    put(desk, "PIN_CHANGED")
    assert desk.call(ROUTE, key=desk.place.add_key("account_events:read"))[0] == 200
    others = desk.place.add_key(*(SCOPES.keys() - {"account_events:read"}))
    assert desk.call(ROUTE, key=others)[0] == 403


def test_the_command_reads_the_same(
    desk: Desk,
    database: ClonedDatabase,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", database.app_url)
    put(desk, "PIN_CHANGED", 0, account_id=desk.place.account_id)
    put(desk, "APPROVED", 1, field="account_review_update")

    def run(*more: str, tenant: UUID = desk.place.tenant_id) -> str:
        capfd.readouterr()
        assert main(["account-events", "list", "--tenant", str(tenant), *more]) == DONE
        return capfd.readouterr().out

    assert json.loads(run("--json")) == desk.ok(ROUTE)
    shown = run("--number", desk.place.phone_number_id, "--limit", "1")
    assert "PIN_CHANGED" in shown
    assert "APPROVED" not in shown
    assert "more: --cursor" in run("--limit", "1")
    assert json.loads(run("--json", tenant=desk.world.place().tenant_id))["data"] == []
