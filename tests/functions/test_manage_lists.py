"""/v1/lists and /v1/audiences: lists made, filled by JSON and by file, counted, deleted."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from functions.manage import app
from switchboard import __main__ as command_line
from switchboard.campaigns.audience import counts, members
from switchboard.campaigns.audience.members import import_csv
from switchboard.kernel.clock import Clock
from switchboard.kernel.errors import Unavailable
from tests.managing import Desk, column

LISTS, ONE, MEMBERS = "/v1/lists", "/v1/lists/{id}", "/v1/lists/{id}/members"
ANA, BEN = "525550001234", "4915550000002"
Json = dict[str, Any]


def make(desk: Desk, name: str = "Spring fair") -> str:
    status, made = desk.call(f"POST {LISTS}", body={"name": name})
    assert status == 201, made
    assert made["members"] == 0
    return str(made["id"])


def send(desk: Desk, list_id: str, content: str, *, kind: str = "text/csv") -> tuple[int, Json]:
    """Send a file as API Gateway hands it over: in base64."""
    event = {
        "version": "2.0",
        "routeKey": f"POST {MEMBERS}",
        "headers": {"authorization": f"Bearer {desk.key}", "content-type": kind},
        "pathParameters": {"id": list_id},
        "isBase64Encoded": True,
        "body": base64.b64encode(content.encode()).decode(),
    }
    response = app.handler(event, None)
    return response["statusCode"], json.loads(response["body"])


def count(desk: Desk, audience: Json) -> int:
    return int(desk.ok("POST /v1/audiences/count", body={"audience": audience})["contacts"])


def on(desk: Desk, list_id: str) -> dict[str, Json]:
    """Return who is on a list by their numbers, with what is given for them."""
    rows = desk.pages(f"GET {MEMBERS}", list_id, limit=2)
    return {row["phone_number"]: row["given"] for row in rows}


def test_a_list_is_made_shown_listed_and_deleted(desk: Desk) -> None:
    first, second = make(desk), make(desk, "Autumn fair")
    assert column(desk.pages(f"GET {LISTS}", limit=1), "id") == [second, first]
    status, problem = desk.call(f"POST {LISTS}", body={"name": "Spring fair"})
    assert (status, problem["field"]) == (409, "name")
    send(desk, first, f"phone\n{ANA}\n")
    assert desk.ok(f"GET {ONE}", first)["members"] == 1
    assert desk.ok(f"DELETE {ONE}", first)["members"] == 1
    assert desk.call(f"GET {ONE}", first)[0] == 404
    assert column(desk.pages(f"GET {LISTS}"), "id") == [second]
    assert desk.place.rows("contact_list_members") == []


def test_a_file_puts_people_on_a_list_and_reports_each_line_that_it_leaves_out(desk: Desk) -> None:
    ana = desk.contact_of(desk.hear(ANA))
    list_id = make(desk)
    stranger = uuid4()
    file = (
        "\ufeffphone;contact_id;code\n"
        "5215550001234;;A1\n"  # as Meta writes Ana's
        f"{BEN};;B2\n"  # nobody's yet
        f";{ana};again\n"
        "+49 1555 0000002;;twice\n"
        "12;;C3\n"
        f";{stranger};D4\n"
    )
    status, report = send(desk, list_id, file, kind="text/csv; charset=utf-8")
    assert status == 200
    assert report == {
        "added": 2,
        "updated": 0,
        "unchanged": 0,
        "duplicates": 2,
        "contacts_made": 1,
        "wrong": 2,
        "stopped_before_line": None,
        "errors": [
            {
                "line": 6,
                "column": "phone",
                "value": "12",
                "reason": "must be 7 to 15 digits, with or without +",
            },
            {
                "line": 7,
                "column": "contact_id",
                "value": str(stranger),
                "reason": "this contact is not known",
            },
        ],
    }
    assert on(desk, list_id) == {f"+{ANA}": {"code": "A1"}, f"+{BEN}": {"code": "B2"}}
    # Who came by a file is found by the number as anybody is.
    (ben,) = desk.ok("GET /v1/contacts", phone=BEN)["data"]
    assert ben["opt_in_status"] == "pending"


def test_the_same_file_again_adds_nobody_and_brings_its_values(desk: Desk) -> None:
    list_id = make(desk)
    send(desk, list_id, f"phone,code\n{ANA},A1\n{BEN},B2\n")
    _, report = send(desk, list_id, f"phone,code\n{ANA},A9\n{BEN},B2\n")
    told = ("added", "updated", "unchanged", "contacts_made")
    assert [report[name] for name in told] == [0, 1, 1, 0]
    assert on(desk, list_id) == {f"+{ANA}": {"code": "A9"}, f"+{BEN}": {"code": "B2"}}
    _, report = send(desk, list_id, f"phone,code\n{ANA},\n{BEN},B2\n")
    assert [report[name] for name in told] == [0, 1, 1, 0]
    assert on(desk, list_id) == {f"+{ANA}": {}, f"+{BEN}": {"code": "B2"}}


def test_slices_know_of_each_other_and_a_cut_import_says_where_it_stopped(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "SLICE", 2)
    list_id = UUID(make(desk))
    phones = [f"49155500000{n:02}" for n in range(7)]
    file = "\n".join(["phone", *phones, phones[0]]).encode()
    tenant = desk.place.tenant_id
    seconds = iter(range(100))
    slow = replace(desk.made.clock, monotonic=lambda: float(next(seconds)))
    tools = desk.world.tools(slow)
    report = import_csv(tools, tenant, list_id, file, within_s=2.5)
    # Began at 0; at 1 and 2 a slice begins, at 3 none does.
    assert (report.added, report.stopped_before_line) == (4, 6)
    report = import_csv(desk.made, tenant, list_id, file)
    assert (report.added, report.unchanged, report.duplicates) == (3, 4, 1)
    assert len(on(desk, str(list_id))) == 7


def test_people_of_json_are_read_each_by_itself(desk: Desk) -> None:
    ana = desk.contact_of(desk.hear(ANA))
    list_id = make(desk)
    given = [
        {"contact_id": ana, "values": {"code": "A1"}},
        {"phone": f"+{BEN}"},
        {"phone": "12"},
        {"phone": BEN, "contact_id": ana},
        {"phone": BEN, "values": {"code": 5}},
        {"phone": BEN, "value": {}},
        {"phone": BEN, "values": {"code": "x" * 1_001}},
        {"contact_id": 5},
    ]
    report = desk.ok(f"POST {MEMBERS}", list_id, body={"members": given})
    assert (report["added"], report["wrong"]) == (2, 6)
    assert [(one["line"], one["column"]) for one in report["errors"]] == [
        (3, "phone"),
        (4, None),
        (5, "code"),
        (6, "value"),
        (7, "code"),
        (8, "contact_id"),
    ]
    assert on(desk, list_id) == {f"+{ANA}": {"code": "A1"}, f"+{BEN}": {}}


def test_a_file_that_is_none_is_refused_and_an_empty_one_asks_for_its_list(desk: Desk) -> None:
    list_id = make(desk)
    status, problem = send(desk, list_id, "name\nAna\n")
    assert (status, problem["field"]) == (422, "line 1")
    assert send(desk, list_id, "phone\n")[1]["added"] == 0
    assert send(desk, str(uuid4()), "phone\n")[0] == 404
    assert send(desk, str(uuid4()), f"phone\n{ANA}\n")[0] == 404
    # Refused as a whole: nobody became a contact on the way.
    assert desk.ok("GET /v1/contacts", phone=ANA)["data"] == []
    # Without its type a file is no JSON.
    assert send(desk, list_id, "phone\n", kind="application/json")[0] == 400


def test_people_are_taken_off_by_phone_and_by_id(desk: Desk) -> None:
    ana = desk.contact_of(desk.hear(ANA))
    list_id = make(desk)
    send(desk, list_id, f"phone\n{ANA}\n{BEN}\n4915550000003\n")
    body = {"phones": ["+5215550001234", "4915550000009"], "contact_ids": [str(uuid4())]}
    assert desk.ok(f"DELETE {MEMBERS}", list_id, body=body) == {"removed": 1}
    assert desk.ok(f"DELETE {MEMBERS}", list_id, body={"contact_ids": [ana]}) == {"removed": 0}
    assert set(on(desk, list_id)) == {f"+{BEN}", "+4915550000003"}
    assert desk.call(f"DELETE {MEMBERS}", list_id, body={})[0] == 422


def test_who_is_deleted_is_on_no_list_and_what_was_given_for_them_is_gone(desk: Desk) -> None:
    ana = desk.contact_of(desk.hear(ANA))
    list_id = make(desk)
    send(desk, list_id, f"phone,code\n{ANA},secret\n{BEN},b\n")
    desk.world.everything.execute(
        "update messaging.contacts set deleted_at = now() where id = %s", (ana,)
    )
    assert set(on(desk, list_id)) == {f"+{BEN}"}


def test_two_members_that_become_one_person_are_one_member(desk: Desk) -> None:
    list_id = make(desk)
    send(desk, list_id, f"phone,code\n{ANA},old\n")
    send(desk, list_id, f"phone,code\n{BEN},new\n")
    ids = [row["contact_id"] for row in desk.place.rows("contact_list_members")]
    with psycopg.connect(desk.world.database.app_url) as link:
        link.execute(
            "select set_config('switchboard.tenant_id', %s, false)", (str(desk.place.tenant_id),)
        )
        link.execute(
            "select messaging.merge_contacts(%s, %s, 'late_pairing', null, now())",
            (desk.place.tenant_id, ids),
        )
    (row,) = desk.place.rows("contact_list_members")
    assert row["given"] == {"code": "new"}
    assert count(desk, {"type": "custom_list", "list_id": list_id}) == 1


# --- counting ---


def test_each_kind_of_audience_is_counted(desk: Desk) -> None:
    ana = desk.contact_of(desk.hear(ANA))
    list_id = make(desk)
    send(desk, list_id, f"phone\n{BEN}\n4915550000003\n")
    desk.ok("PATCH /v1/contacts/{id}", ana, body={"tags": ["vip"]})
    assert count(desk, {"type": "all_contacts"}) == 3
    assert count(desk, {"type": "tagged", "tags": ["vip"]}) == 1
    assert count(desk, {"type": "custom_list", "list_id": list_id}) == 2
    assert count(desk, {"type": "custom_list", "phones": [ANA], "contact_ids": [ana]}) == 1
    mexican = {"field": "contact.country_code", "op": "is", "value": "MX"}
    heard = {"field": "contact.last_inbound_at", "op": "within", "value": 2}
    assert count(desk, {"type": "segment", "filter": {"all": [mexican, heard]}}) == 1
    assert count(desk, {"type": "segment", "filter": {"not": mexican}}) == 2


def test_a_list_that_is_not_known_is_no_empty_audience(desk: Desk) -> None:
    audience = {"type": "custom_list", "list_id": str(uuid4())}
    status, problem = desk.call("POST /v1/audiences/count", body={"audience": audience})
    assert (status, problem["field"]) == (422, "audience.list_id")


def test_a_count_that_takes_too_long_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.world.everything.execute(
        "insert into messaging.contacts (tenant_id, id) select %s, gen_random_uuid()"
        " from generate_series(1, 20000)",
        (desk.place.tenant_id,),
    )
    wanted = counts.CountWanted.model_validate({"audience": {"type": "all_contacts"}})
    with pytest.raises(Unavailable, match=r"not be counted within 0\.001 s") as refused:
        counts.count_audience(desk.made, desk.place.tenant_id, wanted, within_ms=1)
    assert refused.value.field == "audience"
    assert counts.count_audience(desk.made, desk.place.tenant_id, wanted).contacts == 20_000
    # A link that was lost is another matter, and told as what it is.
    lost = desk.world.tools(Clock())
    monkeypatch.setattr(lost.db, "_url", "postgresql://nobody@127.0.0.1:1/none")
    lost.db.drop()
    with pytest.raises(Unavailable, match=r"cannot be reached|a moment ago"):
        counts.count_audience(lost, desk.place.tenant_id, wanted)


# --- by command ---


def test_the_commands_make_fill_and_count(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", desk.world.database.app_url)
    tenant = ["--tenant", str(desk.place.tenant_id), "--json"]

    def run(*words: str) -> Json:
        assert command_line.main([*words, *tenant]) == 0
        document: Json = json.loads(capsys.readouterr().out)
        return document

    made = run("lists", "create", "--name", "Spring fair")
    file = tmp_path / "people.csv"
    file.write_text(f"phone,code\n{ANA},A1\n12,\n")
    report = run("lists", "import", "--list", made["id"], "--file", str(file))
    assert (report["added"], report["wrong"]) == (1, 1)
    (row,) = run("lists", "members", "--list", made["id"])["data"]
    assert row["given"] == {"code": "A1"}
    audience = json.dumps({"type": "custom_list", "list_id": made["id"]})
    assert run("audiences", "count", "--audience", audience) == {"contacts": 1}
    assert run("lists", "remove", "--list", made["id"], "--phones", ANA) == {"removed": 1}
    assert run("lists", "show", "--list", made["id"])["members"] == 0
    assert run("lists", "delete", "--list", made["id"])["name"] == "Spring fair"
    assert run("lists", "list")["data"] == []
    missing = ["lists", "import", "--list", made["id"], "--file", str(tmp_path / "none.csv")]
    assert command_line.main([*missing, *tenant]) == 1
    assert "cannot be read" in capsys.readouterr().err
