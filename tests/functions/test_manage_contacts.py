"""/v1/contacts: found by any id, walked by cursor, changed by staff, merged ones answered."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from switchboard.inbox import contacts
from tests.managing import START, Desk, column

LIST, ONE, CHANGE = "GET /v1/contacts", "GET /v1/contacts/{id}", "PATCH /v1/contacts/{id}"


def test_who_wrote_is_found_by_phone_however_it_is_written(desk: Desk) -> None:
    contact_id = desk.contact_of(desk.hear("5215550001234", name="Ana"))
    desk.hear("4915550000002")
    for written in ("5215550001234", "+525550001234", " 525550001234 "):
        assert column(desk.ok(LIST, phone=written)["data"], "id") == [contact_id]
    found = desk.ok(ONE, contact_id)
    assert found["profile_name"] == "Ana"
    assert found["phone_number"] == "+525550001234"
    assert found["identifiers"] == [{"kind": "phone", "value": "525550001234"}]
    assert found["merged_from"] is None
    assert desk.ok(LIST, phone="4915559999999") == {"data": [], "next_cursor": None}
    # The filters of the list hold for one that is found, too.
    assert desk.ok(LIST, phone="525550001234", tag="vip")["data"] == []


def test_a_contact_is_found_by_metas_and_by_the_callers_id(desk: Desk) -> None:
    contact_id = desk.contact_of(desk.hear("4915550000001"))
    desk.world.everything.execute(
        "insert into messaging.contact_identifiers (tenant_id, kind, value, contact_id)"
        " values (%s, 'user_id', 'US.77', %s)",
        (desk.place.tenant_id, contact_id),
    )
    desk.ok(CHANGE, contact_id, body={"external_user_id": "crm-1"})
    assert column(desk.ok(LIST, user_id="US.77")["data"], "id") == [contact_id]
    assert column(desk.ok(LIST, external_user_id="crm-1")["data"], "id") == [contact_id]
    assert desk.ok(LIST, external_user_id="crm-1", phone="4915550000002")["data"] == []


def test_every_contact_is_walked_once_whatever_the_page(desk: Desk) -> None:
    for number in range(7):
        desk.hear(f"491555000000{number}")
    everyone = column(desk.ok(LIST)["data"], "id")
    assert everyone == sorted(everyone)
    assert len(everyone) == 7
    for limit in (1, 2, 3, 7, 8):
        assert column(desk.pages(LIST, limit=limit), "id") == everyone


def test_filters_hold_across_pages_even_where_a_walk_ends_before_the_page_is_full(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contacts, "WALK", 2)
    for number in range(7):
        desk.hear(f"491555000000{number}")
    everyone = column(desk.pages(LIST), "id")
    chosen = {everyone[0], everyone[5], everyone[6]}
    for contact_id in chosen:
        desk.ok(CHANGE, contact_id, body={"tags": ["vip"]})
    for limit in (1, 2, 50):
        assert set(column(desk.pages(LIST, limit=limit, tag="vip"), "id")) == chosen
        assert len(desk.pages(LIST, limit=limit, tag="vip")) == 3


def test_filters_by_opt_in_block_and_time(desk: Desk) -> None:
    old, new = (desk.contact_of(desk.hear(f"491555000000{n}")) for n in (1, 2))
    desk.set("contacts", old, updated_at=START - timedelta(days=9), opt_in_status="opted_out")
    desk.ok(CHANGE, new, body={"is_blocked": True})
    assert column(desk.ok(LIST, opt_in_status="opted_out")["data"], "id") == [old]
    assert column(desk.ok(LIST, is_blocked="true")["data"], "id") == [new]
    assert column(desk.ok(LIST, is_blocked="false")["data"], "id") == [old]
    since = (START - timedelta(days=1)).isoformat()
    assert column(desk.ok(LIST, updated_since=since)["data"], "id") == [new]


def test_what_is_named_is_changed_and_the_rest_stays(desk: Desk) -> None:
    contact_id = desk.contact_of(desk.hear("4915550000001", name="Profile"))
    everything = {
        "name": "Ana Ruiz",
        "email": "Ana@acme.example",
        "company": "Acme",
        "title": "CTO",
        "locale": "es_MX",
        "timezone": "America/Mexico_City",
        "external_user_id": "crm-1",
        "is_blocked": True,
        "tags": ["vip", "beta", "vip"],
        "attributes": {"plan": "gold", "seats": 3, "old": {"a": [1]}},
    }
    changed = desk.ok(CHANGE, contact_id, body=everything)
    assert changed | everything | {"tags": ["beta", "vip"]} == changed
    assert changed["profile_name"] == "Profile"
    changed = desk.ok(
        CHANGE,
        contact_id,
        body={"company": None, "title": "  ", "attributes": {"old": None, "seats": 4}},
    )
    assert changed["company"] is None
    assert changed["title"] is None
    assert changed["attributes"] == {"plan": "gold", "seats": 4}
    assert changed["name"] == "Ana Ruiz"
    assert changed["is_blocked"] is True
    assert desk.ok(CHANGE, contact_id, body={}) == changed
    assert desk.ok(ONE, contact_id) == changed


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"nickname": "x"}, "nickname"),
        ({"profile_name": "x"}, "profile_name"),
        ({"opt_in_status": "opted_in"}, "opt_in_status"),
        ({"name": "x" * 201}, "name"),
        ({"name": 7}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"email": "nobody"}, "email"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"locale": "english please"}, "locale"),
        ({"is_blocked": None}, "is_blocked"),
        ({"tags": ["x"] * 51}, "tags"),
        ({"tags": [""]}, "tags.0"),
        ({"tags": None}, "tags"),
        ({"attributes": {str(n): n for n in range(101)}}, "attributes"),
        ({"attributes": {"x": "\ud800"}}, "attributes"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(desk: Desk, body: Any, field: str) -> None:
    contact_id = desk.contact_of(desk.hear("4915550000001"))
    before = desk.ok(ONE, contact_id)
    status, problem = desk.call(CHANGE, contact_id, body=body)
    # A lone surrogate is no JSON to begin with.
    assert (status, problem.get("field")) in {(422, field), (400, None)}
    assert status == 422 or "ud800" in str(body)
    assert desk.ok(ONE, contact_id) == before


@pytest.mark.parametrize("body", ["", "[]", "{", '"name"', "null"])
def test_a_body_that_is_no_object_is_a_bad_request(desk: Desk, body: str) -> None:
    contact_id = desk.contact_of(desk.hear("4915550000001"))
    assert desk.call(CHANGE, contact_id, body=body)[0] == 400


def test_attributes_have_an_end(desk: Desk) -> None:
    contact_id = desk.contact_of(desk.hear("4915550000001"))
    # What repeats takes little room: letters without an order do not.
    words = {str(n): "".join(uuid4().hex for _ in range(20)) for n in range(20)}
    desk.ok(CHANGE, contact_id, body={"attributes": words})
    more = {f"b{n}": "".join(uuid4().hex for _ in range(20)) for n in range(20)}
    status, problem = desk.call(CHANGE, contact_id, body={"name": "no", "attributes": more})
    assert (status, problem["field"]) == (422, "attributes")
    assert desk.ok(ONE, contact_id)["attributes"] == words
    assert desk.ok(ONE, contact_id)["name"] is None
    assert desk.call(CHANGE, contact_id, body={"name": "x" * 70_000})[0] == 413


def test_two_contacts_never_share_the_callers_id(desk: Desk) -> None:
    one, two = (desk.contact_of(desk.hear(f"491555000000{n}")) for n in (1, 2))
    desk.ok(CHANGE, one, body={"external_user_id": "crm-1"})
    status, problem = desk.call(CHANGE, two, body={"external_user_id": "crm-1"})
    assert (status, problem["field"]) == (409, "external_user_id")


def test_a_merged_contact_answers_with_the_root_and_says_so(desk: Desk) -> None:
    root, loser = (desk.contact_of(desk.hear(f"491555000000{n}")) for n in (1, 2))
    desk.set("contacts", loser, merged_into=root)
    shown = desk.ok(ONE, loser)
    assert (shown["id"], shown["merged_from"]) == (root, loser)
    changed = desk.ok(CHANGE, loser, body={"name": "Ana"})
    assert (changed["id"], changed["name"], changed["merged_from"]) == (root, "Ana", loser)
    assert desk.ok(ONE, root)["name"] == "Ana"
    assert column(desk.pages(LIST), "id") == [root]
    (row,) = desk.place.rows("contacts", id=loser)
    assert row["name"] is None


def test_a_deleted_contact_is_not_known(desk: Desk) -> None:
    contact_id = desk.contact_of(desk.hear("4915550000001"))
    desk.set("contacts", contact_id, deleted_at=START)
    assert desk.call(ONE, contact_id)[0] == 404
    assert desk.call(CHANGE, contact_id, body={"name": "x"})[0] == 404
    assert desk.pages(LIST) == []
    assert desk.ok(LIST, phone="4915550000001")["data"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 201}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"colour": "red"}, "colour"),
        ({"phone": "12"}, "phone"),
        ({"opt_in_status": "maybe"}, "opt_in_status"),
        ({"updated_since": "yesterday"}, "updated_since"),
        ({"updated_since": "2027-01-31T00:00:00"}, "updated_since"),
        ({"tag": "a\0b"}, "tag"),
        ({"cursor": "abc"}, "cursor"),
        ({"cursor": "!"}, "cursor"),
        ({"cursor": "W10"}, "cursor"),
    ],
)
def test_a_wrong_parameter_is_named(desk: Desk, query: dict[str, Any], field: str) -> None:
    status, problem = desk.call(LIST, **query)
    assert (status, problem["field"]) == (400, field)
    assert str(query[field]) not in problem["detail"] or field == "limit"


def test_a_cursor_belongs_to_its_list_and_its_filters(desk: Desk) -> None:
    for number in range(3):
        desk.hear(f"491555000000{number}")
    cursor = desk.ok(LIST, limit=1)["next_cursor"]
    assert desk.call(LIST, limit=2, cursor=cursor)[0] == 200
    assert desk.call(LIST, is_blocked="true", cursor=cursor)[0] == 400
    assert desk.call("GET /v1/conversations", cursor=cursor)[0] == 400
