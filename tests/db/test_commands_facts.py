"""Trips and bookings by command, and files of them, with what is wrong in which line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from switchboard.__main__ import DONE, REFUSED
from switchboard.facts.lines import TOLD, import_lines
from switchboard.facts.write import WriteResults
from tests.commanding import CommandLine
from tests.managing import Desk, column

PHONE = "4915550000001"


def test_a_trip_and_its_booking_are_put_listed_shown_and_deleted(
    desk: Desk, call: CommandLine
) -> None:
    which = ("--tenant", desk.place.tenant_id)

    def done(resource: str, verb: str, *words: object) -> dict[str, Any]:
        code, out, err = call(resource, verb, *which, *words, "--json")
        assert (code, err) == (DONE, "")
        made: dict[str, Any] = json.loads(out)
        return made

    trip = ("--external-id", "T-1")
    told = done(
        *("trips", "put", *trip, "--phone", f"+{PHONE}", "--timezone", "America/Lima"),
        *("--start-date", "2027-01-31", "--start-time", "09:30", "--budget-minor", 250_000),
        *("--currency", "PEN", "--attributes", '{"seats": 2}', "--status", "active"),
    )
    assert told["result"] == "created"
    assert (told["trip"]["budget_minor"], told["trip"]["attributes"]) == (250_000, {"seats": 2})
    assert done("trips", "show", *trip) == told["trip"]
    booking = ("--external-id", "B-1")
    made = done("bookings", "put", *booking, "--phone", PHONE, "--trip", "T-1", "--kind", "hotel")
    assert done("bookings", "show", *booking) == made["booking"]
    code, out, _ = call("trips", "list", *which, "--status", "active")
    assert (code, "T-1" in out, "America/Lima" in out) == (DONE, True, True)
    code, out, _ = call("bookings", "list", *which, "--phone", PHONE)
    assert (code, "B-1" in out, "hotel" in out) == (DONE, True, True)
    assert done("trips", "delete", *trip)["external_id"] == "T-1"
    assert done("bookings", "delete", *booking)["trip"] is None
    code, _, err = call("trips", "show", *which, *trip)
    assert (code, err) == (REFUSED, "error: this trip is not known\n")


def test_a_file_is_imported_and_each_wrong_line_told(
    desk: Desk, call: CommandLine, tmp_path: Path
) -> None:
    which = ("--tenant", desk.place.tenant_id, "--json")
    lines = [json.dumps({"external_id": f"T-{n}", "phone": PHONE}) for n in range(2100)]
    lines[1] = ""
    lines[2] = "{no"
    lines[3] = "7"
    lines[4] = json.dumps({"external_id": "T-4", "phone": PHONE, "status": "gone"})
    lines[5] = json.dumps({"external_id": "T-5", "phone": PHONE, "title": "x" * 70_000})
    lines[2050] = json.dumps({"external_id": "T-0", "phone": PHONE, "as_of": "2020-01-01T00:00Z"})
    lines[2051] = json.dumps({"external_id": "T-0", "phone": PHONE, "title": "x"})
    path = tmp_path / "trips.jsonl"
    path.write_text("\n".join(lines))
    code, out, err = call("trips", "import", *which, "--file", path)
    assert code == DONE
    assert err.splitlines() == [
        "1000 lines, 4 refused",
        "2000 lines, 4 refused",
        "2100 lines, 4 refused",
    ]
    told = json.loads(out)
    problems = told.pop("problems")
    assert told == {
        "lines": 2100,
        "created": 2093,
        "updated": 1,
        "unchanged": 0,
        "stale": 1,
        "refused": 4,
    }
    assert column(problems, "line") == [3, 4, 5, 6]
    assert column(problems, "field") == [None, None, "status", None]
    assert column(problems, "external_id") == [None, None, "T-4", None]
    assert len(desk.place.rows("trips")) == 2093
    code, out, _ = call("trips", "import", "--tenant", desk.place.tenant_id, "--file", path)
    assert (code, "T-4" in out, "status" in out) == (DONE, True, True)
    booking = tmp_path / "bookings.jsonl"
    booking.write_text(json.dumps({"external_id": "B-1", "phone": PHONE, "trip": "T-0"}) + "\r\n")
    code, out, _ = call("bookings", "import", *which, "--file", booking)
    assert (code, json.loads(out)["created"]) == (DONE, 1)


def test_a_file_that_cannot_be_read_is_told(desk: Desk, call: CommandLine, tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        code, _, err = call("trips", "import", "--tenant", desk.place.tenant_id, "--file", path)
        assert code == REFUSED
        assert err.startswith("error: the file cannot be read")


def test_of_a_file_that_is_all_wrong_the_first_thousand_problems_are_told() -> None:
    told = import_lines(
        [b"no"] * (TOLD + 500), lambda _items: WriteResults([]), lambda _so_far: None
    )
    assert (told.lines, told.refused, len(told.problems)) == (TOLD + 500, TOLD + 500, TOLD)
    assert told.problems[-1].line == TOLD
