"""/v1/prices and the command: a table brought as a file or as JSON, listed, a card deleted."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from functions.manage import app
from switchboard import __main__ as command_line
from tests.managing import Desk

HEADER = "currency,valid_from,category,market,countries,from_volume,amount\n"
Json = dict[str, Any]


def send(desk: Desk, content: str) -> tuple[int, Json]:
    """Send a file as API Gateway hands it over: in base64."""
    event = {
        "version": "2.0",
        "routeKey": "PUT /v1/prices",
        "headers": {
            "authorization": f"Bearer {desk.key}",
            "content-type": "text/csv; charset=utf-8",
        },
        "isBase64Encoded": True,
        "body": base64.b64encode(content.encode()).decode(),
    }
    response = app.handler(event, None)
    return response["statusCode"], json.loads(response["body"])


def test_a_file_and_json_make_the_same_table(desk: Desk) -> None:
    status, made = send(desk, HEADER + "EUR,2026-10-01,utility,Africa,KE TZ,10,0.0150\n")
    assert status == 200, made
    assert made == {
        "cards": [{"currency": "EUR", "valid_from": "2026-10-01", "rates": 2}],
        "rates": 2,
        "added": 2,
        "changed": 0,
        "unchanged": 0,
        "removed": 0,
        "strange": [],
    }
    rate = {
        "currency": "EUR",
        "valid_from": "2026-10-01",
        "category": "utility",
        "market": "Africa",
        "countries": ["KE", "TZ"],
        "from_volume": 10,
        "amount": "0.015",
    }
    again = desk.ok("PUT /v1/prices", body={"rates": [rate]})
    assert (again["unchanged"], again["added"], again["changed"]) == (2, 0, 0)
    found = desk.pages("GET /v1/prices", limit=1)
    assert [(one["country"], one["market"], one["amount"]) for one in found] == [
        ("KE", "Africa", "0.015"),
        ("TZ", "Africa", "0.015"),
    ]


def test_wrong_lines_are_named_and_nothing_is_written(desk: Desk) -> None:
    wrong = HEADER + "EUR,2026-10-01,utility,MX,,,1\nEUR,2026-10-01,utility,CO,,,1e3\n"
    status, problem = send(desk, wrong)
    assert (status, problem["field"], problem["wrong"]) == (422, "line 3", 1)
    assert problem["errors"] == [
        {
            "line": 3,
            "column": "amount",
            "value": "1e3",
            "reason": "must be in digits with a point, ten after it at most: 0.0315",
        }
    ]
    assert desk.place.rows("price_rates") == []


def test_json_is_refused_by_member_and_by_place(desk: Desk) -> None:
    rate = {"currency": "EUR", "valid_from": "2026-10-01", "category": "utility", "market": "MX"}
    status, problem = desk.call("PUT /v1/prices", body={"rates": [{**rate, "amount": 0.1}]})
    assert (status, problem["field"]) == (422, "rates.0.amount")  # a float is not exact
    status, problem = desk.call("PUT /v1/prices", body={"rates": [{**rate, "amount": "x"}]})
    assert (status, problem["errors"][0]["line"]) == (422, 1)


def test_a_card_is_deleted_by_its_currency_and_day(desk: Desk) -> None:
    send(desk, HEADER + "EUR,2026-10-01,utility,MX,,,1\nEUR,2027-01-01,utility,MX,,,1\n")
    card = {"currency": "EUR", "valid_from": "2026-10-01"}
    assert desk.ok("DELETE /v1/prices", **card) == {**card, "rates": 1}
    assert desk.call("DELETE /v1/prices", **card)[0] == 404
    assert [row["valid_from"].year for row in desk.place.rows("price_rates")] == [2027]


def test_the_command_imports_lists_and_tells_what_is_wrong(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", desk.world.database.app_url)
    tenant = ["--tenant", str(desk.place.tenant_id)]
    path = tmp_path / "prices.csv"
    path.write_text(HEADER + "EUR,2026-10-01,utility,MX,,,0.01\n")
    assert command_line.main(["prices", "import", *tenant, "--file", str(path)]) == 0
    assert command_line.main(["prices", "list", *tenant]) == 0
    assert "0.01" in capsys.readouterr().out
    path.write_text(HEADER + "EUR,2026-10-01,utility,Nowhere,,,0.01\n")
    assert command_line.main(["prices", "import", *tenant, "--file", str(path)]) == 1
    told = capsys.readouterr().err
    assert "line 2" in told
    assert "Nowhere" in told
    assert command_line.main(["prices", "import", *tenant, "--file", str(tmp_path / "none")]) == 1
