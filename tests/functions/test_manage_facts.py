"""Trips and bookings by route: written whole, singly and in bulk; each wrong one named."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from switchboard.access import SCOPES
from tests import api_document
from tests.managing import Desk, Made, column

TRIP, BOOKING = "/v1/trips/{external_id}", "/v1/bookings/{external_id}"
PHONE = "4915550000001"
LIMA: Made = {
    "phone": "+49 15550000001".replace(" ", ""),
    "title": "Lima and Cusco",
    "destination": "Lima",
    "status": "active",
    "timezone": "America/Lima",
    "start_date": "2027-01-31",
    "start_time": "09:30:00",
    "end_date": "2027-02-14",
    "end_time": "18:00:00",
    "budget_minor": 250_000,
    "spent_minor": 12_999,
    "currency": "PEN",
    "attributes": {"seats": 2, "with": {"names": ["Ana"]}},
    "as_of": "2026-01-01T10:00:00+00:00",
}
HOTEL: Made = {
    "phone": PHONE,
    "trip": "T-1",
    "kind": "hotel",
    "title": "Casa Azul",
    "starts_at": "2027-01-31T20:00:00+00:00",
    "timezone": "America/Lima",
    "amount_minor": 45_000,
    "currency": "PEN",
    "as_of": "2026-01-01T10:00:00+00:00",
}


def bulk(desk: Desk, kind: str, *items: Any) -> list[Made]:
    answer = desk.ok(f"POST /v1/{kind}/bulk", body={kind: list(items)})
    results: list[Made] = answer["results"]
    assert len(results) == len(items)
    return results


def test_a_trip_is_written_shown_and_forgotten(desk: Desk) -> None:
    told = desk.ok(f"PUT {TRIP}", "T-1", body=LIMA)
    assert told["result"] == "created"
    trip = told["trip"]
    schemas = api_document.document()["components"]["schemas"]
    assert trip.keys() == schemas["Trip"]["properties"].keys()
    (contact,) = desk.place.rows("contacts")
    assert contact["phone_number"] == f"+{PHONE}"
    own = {name: value for name, value in LIMA.items() if name != "phone"}
    ours = {"external_id": "T-1", "contact_id": str(contact["id"])}
    assert {name: trip[name] for name in {**own, **ours}} == {**own, **ours}
    UUID(trip["id"])
    assert desk.ok(f"GET {TRIP}", "T-1") == trip
    assert desk.ok(f"PUT {TRIP}", "T-1", body=LIMA)["result"] == "unchanged"
    # Whole: what is left out is empty.
    short = {"contact_id": str(contact["id"]), "as_of": "2026-01-02T10:00:00+00:00"}
    told = desk.ok(f"PUT {TRIP}", "T-1", body=short)
    assert (told["result"], told["trip"]["id"]) == ("updated", trip["id"])
    empty = ("title", "start_date", "start_time", "budget_minor", "currency")
    assert all(told["trip"][name] is None for name in empty)
    assert (told["trip"]["status"], told["trip"]["timezone"]) == ("planned", "UTC")
    assert (told["trip"]["spent_minor"], told["trip"]["attributes"]) == (0, {})
    old = desk.ok(f"PUT {TRIP}", "T-1", body=LIMA)
    assert old == {"result": "stale", "trip": told["trip"]}
    assert desk.ok(f"DELETE {TRIP}", "T-1") == told["trip"]
    assert desk.call(f"GET {TRIP}", "T-1")[0] == 404
    assert desk.call(f"DELETE {TRIP}", "T-1")[0] == 404
    # Forgotten is forgotten: what comes again is new.
    assert desk.ok(f"PUT {TRIP}", "T-1", body=LIMA)["result"] == "created"


def test_a_booking_names_its_trip_by_the_services_id(desk: Desk) -> None:
    status, problem = desk.call(f"PUT {BOOKING}", "B-1", body=HOTEL)
    assert (status, problem["field"]) == (404, "trip")
    desk.ok(f"PUT {TRIP}", "T-1", body=LIMA)
    told = desk.ok(f"PUT {BOOKING}", "B-1", body=HOTEL)
    assert told["result"] == "created"
    booking = told["booking"]
    schemas = api_document.document()["components"]["schemas"]
    assert booking.keys() == schemas["Booking"]["properties"].keys()
    own = {name: value for name, value in HOTEL.items() if name != "phone"}
    assert {name: booking[name] for name in own} == own
    assert (booking["status"], booking["pending_since"]) == ("pending", HOTEL["as_of"])
    desk.ok(f"DELETE {TRIP}", "T-1")
    assert desk.ok(f"GET {BOOKING}", "B-1") == {**booking, "trip": None}
    assert desk.ok(f"DELETE {BOOKING}", "B-1")["external_id"] == "B-1"
    assert desk.call(f"GET {BOOKING}", "B-1")[0] == 404


@pytest.mark.parametrize(
    "external_id",
    ["T-1", "a b", "ü-旅", "50%", "a?b#c&d", "bulk", "..x", "x" * 200, "+1", "a:b~c@d"],
)
def test_an_id_is_the_services_own(desk: Desk, external_id: str) -> None:
    told = desk.ok(f"PUT {TRIP}", external_id, body=LIMA)
    assert told["trip"]["external_id"] == external_id
    assert desk.ok(f"GET {TRIP}", external_id) == told["trip"]
    assert bulk(desk, "trips", {**LIMA, "external_id": external_id})[0]["result"] == "unchanged"


@pytest.mark.parametrize(
    "external_id", ["", " ", " a", "a ", "a/b", ".", "..", "x" * 201, "a\x00b", "a\nb"]
)
def test_what_can_be_no_id_is_refused_and_not_known(desk: Desk, external_id: str) -> None:
    status, problem = desk.call(f"PUT {TRIP}", external_id, body=LIMA)
    assert (status, problem["field"]) == (422, "external_id")
    for method in ("GET", "DELETE"):
        assert desk.call(f"{method} {TRIP}", external_id)[0] == 404
    (told,) = bulk(desk, "trips", {**LIMA, "external_id": external_id})
    assert (told["result"], told["external_id"]) == ("refused", None)
    assert desk.place.rows("trips") == []


BAD: list[tuple[Made, str]] = [
    ({"phone": None}, "phone"),
    ({"contact_id": str(uuid4())}, "phone"),
    ({"phone": None, "contact_id": str(uuid4())}, "contact_id"),
    ({"phone": "12"}, "phone"),
    ({"phone": None, "contact_id": "7"}, "contact_id"),
    ({"title": "x" * 501}, "title"),
    ({"destination": 7}, "destination"),
    ({"title": "a\x00b"}, "title"),
    ({"status": "gone"}, "status"),
    ({"status": None}, "status"),
    ({"timezone": "Mars/Jezero"}, "timezone"),
    ({"timezone": "../../etc/passwd"}, "timezone"),
    ({"timezone": ""}, "timezone"),
    ({"start_date": "31.1.2027"}, "start_date"),
    ({"start_date": 5}, "start_date"),
    ({"start_date": "2027-02-29"}, "start_date"),
    ({"start_date": "9999-01-01"}, "start_date"),
    ({"start_time": "25:00"}, "start_time"),
    ({"start_time": 34_200}, "start_time"),
    ({"start_time": "09:30+02:00"}, "start_time"),
    ({"start_date": None, "end_date": None, "end_time": None}, "start_time"),
    ({"end_date": "2027-01-30"}, "end_date"),
    ({"budget_minor": -1}, "budget_minor"),
    ({"budget_minor": 12.5}, "budget_minor"),
    ({"budget_minor": True}, "budget_minor"),
    ({"spent_minor": 10**13}, "spent_minor"),
    ({"currency": None}, "currency"),
    ({"currency": None, "budget_minor": None}, "currency"),
    ({"currency": "pen"}, "currency"),
    ({"currency": "XXQ"}, "currency"),
    ({"attributes": []}, "attributes"),
    ({"attributes": {"x": "y" * 16_384}}, "attributes"),
    ({"attributes": {str(n): n for n in range(101)}}, "attributes"),
    ({"attributes": {"x": "a\x00b"}}, "attributes"),
    ({"attributes": json.loads("[" * 40 + "]" * 40)}, "attributes"),
    ({"as_of": "yesterday"}, "as_of"),
    ({"as_of": "2026-01-01T10:00:00"}, "as_of"),
    ({"as_of": 1_700_000_000}, "as_of"),
    ({"as_of": "2126-01-01T10:00:00Z"}, "as_of"),
    ({"as_of": "9999-12-31T23:59:59-05:00"}, "as_of"),
    ({"colour": "red"}, "colour"),
    ({"id": str(uuid4())}, "id"),
]


def test_a_wrong_member_is_refused_by_its_name(desk: Desk) -> None:
    for wrong, field in BAD:
        status, problem = desk.call(f"PUT {TRIP}", "T-1", body={**LIMA, **wrong})
        # A contact that is well written and nobody's.
        nobody = (
            "contact_id" in wrong and wrong["contact_id"] != "7" and wrong.get("phone", 7) is None
        )
        assert (status, problem.get("field")) == (404 if nobody else 422, field), wrong
    assert desk.place.rows("trips") == []


def test_a_bad_item_of_a_thousand_costs_itself_alone(desk: Desk) -> None:
    """Also what no other body may hold: it is refused where it stands."""
    good = [{**LIMA, "external_id": f"T-{n}"} for n in range(1000 - len(BAD) - 3)]
    wrong = [{**LIMA, "external_id": f"W-{n}", **one} for n, (one, _) in enumerate(BAD)]
    results = bulk(desk, "trips", *good[:500], *wrong, 7, None, {}, *good[500:])
    refused = results[500 : 500 + len(wrong)]
    assert {one["result"] for one in results[:500] + results[503 + len(wrong) :]} == {"created"}
    assert {one["result"] for one in refused} == {"refused"}
    assert column(refused, "external_id") == [f"W-{n}" for n in range(len(BAD))]
    assert column(refused, "field") == [field for _, field in BAD]
    others = results[500 + len(wrong) : 503 + len(wrong)]
    assert column(others, "status_code") == [400, 400, 422]
    assert column(others[:2], "detail") == ["must be a JSON object"] * 2
    assert others[2]["field"] == "phone"
    assert len(desk.place.rows("trips")) == len(good)
    again = bulk(desk, "trips", *good[:3], {**good[4], "title": "x"}, {**good[5], "as_of": None})
    assert column(again[:3], "result") == ["unchanged"] * 3
    assert column(again[3:], "result")[1] == "unchanged"
    assert {one["status_code"] for one in again} == {200}
    shown = desk.ok(f"GET {TRIP}", "T-0")
    assert {name: shown[name] for name in ("id", "contact_id", "as_of")} == {
        name: again[0][name] for name in ("id", "contact_id", "as_of")
    }


def test_bookings_are_written_in_bulk_and_an_unknown_trip_costs_its_booking_alone(
    desk: Desk,
) -> None:
    desk.ok(f"PUT {TRIP}", "T-1", body=LIMA)
    results = bulk(
        desk,
        "bookings",
        {**HOTEL, "external_id": "B-1"},
        {**HOTEL, "external_id": "B-2", "trip": "T-9"},
        {**HOTEL, "external_id": "B-3", "trip": None, "status": "confirmed"},
        {**HOTEL, "external_id": "B-4", "kind": ""},
        {**HOTEL, "external_id": "B-5", "currency": None},
        {**HOTEL, "external_id": "B-6", "starts_at": "2027-01-31"},
    )
    assert column(results, "result") == ["created", "refused", "created", *["refused"] * 3]
    named = [(one["status_code"], one.get("field")) for one in results if "field" in one]
    assert named == [(404, "trip"), (422, "kind"), (422, "currency"), (422, "starts_at")]
    assert desk.ok(f"GET {BOOKING}", "B-3")["pending_since"] is None


def test_a_bulk_has_one_to_a_thousand_items(desk: Desk) -> None:
    route = "POST /v1/trips/bulk"
    many = [{"external_id": "x"}] * 1001
    wrong: list[Made] = [{"trips": given} for given in ([], many, "x", None)]
    for body in [*wrong, {}]:
        status, problem = desk.call(route, body=body)
        assert (status, problem["field"]) == (422, "trips")
    status, problem = desk.call(route, body={"trips": [{}], "colour": "red"})
    assert (status, problem["field"]) == (422, "colour")
    assert desk.call(route, body=[])[0] == 400


def test_lists_are_walked_newest_first_by_contact_and_status(desk: Desk) -> None:
    for n in range(7):
        body = {
            "phone": PHONE if n % 2 else "4915550000002",
            "status": "active" if n < 4 else "planned",
        }
        desk.ok(f"PUT {TRIP}", f"T-{n}", body=body)
        desk.ok(f"PUT {BOOKING}", f"B-{n}", body={"phone": body["phone"]})
    every = column(desk.pages("GET /v1/trips", limit=2), "external_id")
    assert every == [f"T-{n}" for n in reversed(range(7))]
    assert column(desk.pages("GET /v1/bookings", limit=3), "external_id") == [
        f"B-{n}" for n in reversed(range(7))
    ]
    active = desk.pages("GET /v1/trips", limit=1, status="active")
    assert column(active, "external_id") == ["T-3", "T-2", "T-1", "T-0"]
    contact_id = active[0]["contact_id"]
    assert column(desk.pages("GET /v1/trips", limit=1, contact_id=contact_id), "external_id") == [
        "T-5",
        "T-3",
        "T-1",
    ]
    both = desk.ok("GET /v1/trips", phone=PHONE, status="planned")["data"]
    assert column(both, "external_id") == ["T-5"]
    assert len(desk.ok("GET /v1/bookings", phone=PHONE, status="pending")["data"]) == 3
    assert desk.ok("GET /v1/bookings", status="confirmed")["data"] == []
    assert desk.ok("GET /v1/trips", phone="4915559999999")["data"] == []
    assert desk.ok("GET /v1/trips", phone="4915550000002", contact_id=contact_id)["data"] == []
    # To look makes nobody.
    assert len(desk.place.rows("contacts")) == 2
    cursor = desk.ok("GET /v1/trips", limit=1)["next_cursor"]
    for route, filters in (
        ("GET /v1/trips", {"status": "active"}),
        ("GET /v1/trips", {"phone": PHONE}),
        ("GET /v1/bookings", {}),
    ):
        status, problem = desk.call(route, cursor=cursor, **filters)
        assert (status, problem["field"]) == (400, "cursor")
    assert desk.call("GET /v1/trips", status="pending")[1]["field"] == "status"


def test_another_tenants_facts_are_not_there(desk: Desk) -> None:
    desk.ok(f"PUT {TRIP}", "T-1", body=LIMA)
    key = desk.world.place().add_key(*SCOPES)
    for method in ("GET", "DELETE"):
        assert desk.call(f"{method} {TRIP}", "T-1", key=key)[0] == 404
    assert desk.ok("GET /v1/trips", key=key)["data"] == []
    assert desk.ok(f"PUT {TRIP}", "T-1", body={"phone": PHONE}, key=key)["result"] == "created"
    assert desk.ok(f"GET {TRIP}", "T-1")["title"] == LIMA["title"]


def test_reading_and_writing_are_scopes_of_their_own(desk: Desk) -> None:
    reader, writer = desk.place.add_key("facts:read"), desk.place.add_key("facts:write")
    assert desk.call(f"PUT {TRIP}", "T-1", body=LIMA, key=reader)[0] == 403
    assert desk.call(f"PUT {TRIP}", "T-1", body=LIMA, key=writer)[0] == 200
    assert desk.call(f"GET {TRIP}", "T-1", key=writer)[0] == 403
    assert desk.call(f"GET {TRIP}", "T-1", key=reader)[0] == 200
