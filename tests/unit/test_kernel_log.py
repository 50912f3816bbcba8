"""Log lines: JSON that tools read, without what would name a person."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from switchboard.kernel.log import Log, mask


@pytest.fixture
def log() -> Log:
    return Log("webhook")


def line(capfdbinary: pytest.CaptureFixture[bytes]) -> dict[str, Any]:
    out = capfdbinary.readouterr().out
    assert out.count(b"\n") == 1
    written: dict[str, Any] = json.loads(out)
    return written


Captured = pytest.CaptureFixture[bytes]


def test_a_line_is_one_json_object_with_the_names_that_powertools_reads(
    log: Log, capfdbinary: Captured
) -> None:
    log.bind(function_request_id="8476a536-e9f4-11e8-9739-2dfe598c3fcd")
    log.info("webhook.stored", messages=3)
    written = line(capfdbinary)
    assert written.pop("timestamp").endswith("+00:00")
    assert written == {
        "level": "INFO",
        "message": "webhook.stored",
        "service": "webhook",
        "function_request_id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
        "messages": 3,
    }


def test_binding_replaces_what_the_last_invocation_bound(log: Log, capfdbinary: Captured) -> None:
    log.bind(correlation_id="first", tenant="a")
    log.bind(correlation_id="second")
    log.info("x")
    written = line(capfdbinary)
    assert written["correlation_id"] == "second"
    assert "tenant" not in written
    assert written["service"] == "webhook"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("+15550001111", "…11"),
        ("5215550100301", "…01"),
        ("to 447700900142 from 15550001112", "to …42 from …12"),
        ("+1 (555) 000-1111", "…11"),
        ("+44 7700 900142", "…42"),
        ("wamid.HBgNNTIxNTU1MDEwMDMwMQ", "wamid.HBgNNTIxNTU1MDEwMDMwMQ"),
        ("error 131047", "error 131047"),
        ("2026-11-20 14:33:14", "2026-11-20 14:33:14"),
        ("code 100, 5 of 10 tries", "code 100, 5 of 10 tries"),
        ("is not verified: ana.ruiz+x@acme.example (EU)", "is not verified: …@… (EU)"),
        ("Acme <ana@acme.example>, bo@\u00fcro.example", "Acme <…@…>, …@…"),
        ("5 @ 3", "5 @ 3"),
    ],
)
def test_numbers_keep_their_last_two_digits_and_addresses_nothing(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "field",
    [
        {"wa_id": "5215550100301"},
        {"note": "5215550100301"},
        {"note": ["a", "5215550100301"]},
        {"note": {"deep": {"er": "5215550100301"}}},
        {"note": {"5215550100301": 1}},
        {"note": {"5215550100301"}},
        {"phone": 5215550100301},
        {"note": b"5215550100301"},
        {"note": ValueError("5215550100301")},
    ],
)
def test_a_number_leaves_the_process_nowhere(
    log: Log, capfdbinary: Captured, field: dict[str, Any]
) -> None:
    log.bind(**field)
    log.info("x", **field)
    assert b"52155501003" not in capfdbinary.readouterr().out


@pytest.mark.parametrize("key", ["text", "body", "access_token", "password", "name", "username"])
def test_values_under_telling_keys_are_never_written(
    log: Log, capfdbinary: Captured, key: str
) -> None:
    log.info("x", **{key: "Lucía"}, nested={key: {"deep": "Lucía"}})
    out = capfdbinary.readouterr().out
    assert b"Luc" not in out
    assert json.loads(out)[key] == "***"


def test_ids_that_name_no_person_stay_readable(log: Log, capfdbinary: Captured) -> None:
    message_id = UUID("00000000-1111-7222-8333-444444444444")
    log.info("x", phone_number_id="310000000000001", message_id=message_id, lane=str(message_id))
    written = line(capfdbinary)
    assert written["phone_number_id"] == "310000000000001"
    assert written["message_id"] == written["lane"] == str(message_id)


def test_only_a_real_uuid_passes_as_one(log: Log, capfdbinary: Captured) -> None:
    log.info("x", note="5215550100301-a-b-c-dddddddddddddddd")
    assert b"52155501003" not in capfdbinary.readouterr().out


@pytest.mark.parametrize(
    "value", ["half \ud83d", 10**30, {1: 2}, {None: "x"}, object(), {uuid4()}, float("nan")]
)
def test_a_line_never_fails_its_caller(log: Log, capfdbinary: Captured, value: Any) -> None:
    log.info("x", value=value)
    assert b'"message":' in capfdbinary.readouterr().out


def test_what_is_below_the_level_is_not_written(log: Log, capfdbinary: Captured) -> None:
    log.set_level("warning")
    log.debug("x")
    log.info("x")
    log.warning("warned")
    log.error("failed")
    out = capfdbinary.readouterr().out.splitlines()
    assert [json.loads(one)["level"] for one in out] == ["WARNING", "ERROR"]
    log.set_level("nonsense")
    log.info("x")
    assert line(capfdbinary)["level"] == "INFO"


def test_an_error_is_written_with_its_type_and_place_and_a_masked_text(
    log: Log, capfdbinary: Captured
) -> None:
    try:
        raise ValueError("no contact 5215550100301 " + "x" * 1000)
    except ValueError as error:
        log.error("job.failed", error=error)
    written = line(capfdbinary)
    assert written["error_type"] == "ValueError"
    assert written["at"].startswith("test_kernel_log.py:")
    assert "52155501003" not in written["error"]
    assert len(written["error"]) <= 300


def test_a_data_error_of_the_database_is_not_quoted(log: Log, capfdbinary: Captured) -> None:
    """Postgres quotes the refused value, which may be anybody's text."""
    log.error("x", error=psycopg.errors.CheckViolation("Key (name)=(Lucía) is wrong"))
    out = capfdbinary.readouterr().out
    assert b"Luc" not in out
    assert b"23514" in out
