"""What lies in the backlog is seen, and what was given up is taken in after a fix."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from switchboard.__main__ import DONE, REFUSED, main
from switchboard.intake import backlog
from switchboard.kernel.errors import NotFound
from tests.databases import ClonedDatabase
from tests.deliveries import BUCKET, Person, Place, aws_at_hand, message, pack, waiting

ANA = Person("4915551234567", name="Ana")
Fault = Callable[[bool], None]


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    with aws_at_hand():
        place = Place(database)
        yield place
        place.close()


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Fault:
    """Switches a fault of intake on and off: any body but dead letters fails."""
    real = vars(backlog)["store"]

    def switch(on: bool) -> None:
        def broken(*_: Any) -> Any:
            raise ZeroDivisionError

        monkeypatch.setattr(backlog, "store", broken if on else real)

    return switch


def give_up(place: Place, fault: Fault, wamids: list[str]) -> list[str]:
    """Let bodies fail until they are given up; returns their keys."""
    number = place.number()
    fault(True)
    for wamid in wamids:
        backlog.put(place.usual.tools, pack([message(number, wamid, ANA)]), None)
    for _ in range(5):
        backlog.drain(place.usual.tools, lambda: True)
    fault(False)
    keys = [body.key for body in backlog.browse(place.usual.tools, failed=True).bodies]
    assert len(keys) == len(wamids)
    return keys


def test_what_was_given_up_is_stored_after_a_fix_and_its_letter_is_resolved(
    place: Place, fault: Fault
) -> None:
    keys = give_up(place, fault, ["wamid.1", "wamid.2"])
    assert place.count("whatsapp_messages") == 0

    drained = backlog.replay_failed(place.usual.tools, lambda: True, key=keys[0])

    assert (drained.stored, drained.failed) == (1, 0)
    resolved = "select count(*) from messaging.webhook_dead_letters where resolved_at is not null"
    assert place.one(resolved) == 1
    with pytest.raises(NotFound):
        backlog.replay_failed(place.usual.tools, lambda: True, key=keys[0])
    assert backlog.replay_failed(place.usual.tools, lambda: True).stored == 1
    assert place.one(resolved) == 2
    assert place.count("whatsapp_messages") == 2
    assert waiting(place_s3()) == []


def test_what_fails_once_more_stays(place: Place, fault: Fault) -> None:
    keys = give_up(place, fault, ["wamid.1"])
    fault(True)

    assert backlog.replay_failed(place.usual.tools, lambda: True).failed == 1
    assert backlog.replay_failed(place.usual.tools, lambda: False).failed == 0

    assert waiting(place_s3()) == keys
    assert place.one("select resolved_at from messaging.webhook_dead_letters") is None


def test_what_waits_and_what_was_given_up_are_listed_apart_page_by_page(
    place: Place, fault: Fault
) -> None:
    failed = give_up(place, fault, ["wamid.1", "wamid.2", "wamid.3"])
    backlog.put(place.usual.tools, b"later", None)
    (later,) = backlog.browse(place.usual.tools).bodies
    assert (later.bytes, later.failed) == (5, False)
    assert later.key[4] == "-"

    first = backlog.browse(place.usual.tools, failed=True, limit=2)
    second = backlog.browse(place.usual.tools, failed=True, limit=2, cursor=first.cursor)

    assert [body.key for body in (*first.bodies, *second.bodies)] == failed
    assert second.cursor is None


def test_a_key_outside_what_was_given_up_is_not_touched(place: Place) -> None:
    backlog.put(place.usual.tools, b"{}", None)
    (key,) = waiting(place_s3())
    with pytest.raises(NotFound):
        backlog.replay_failed(place.usual.tools, lambda: True, key=key)
    assert waiting(place_s3()) == [key]


def test_the_operator_does_it_by_command_and_no_tenant(
    place: Place,
    fault: Fault,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (key,) = give_up(place, fault, ["wamid.1"])
    monkeypatch.setenv("DATABASE_URL", place.database.app_url)
    monkeypatch.setenv("BACKLOG_BUCKET", BUCKET)

    def call(*words: str, tenant: str = "system") -> tuple[int, Any]:
        capfd.readouterr()
        code = main(["backlog", *words, "--tenant", tenant, "--json"])
        out = capfd.readouterr().out
        return code, json.loads(out) if out else None

    code, listed = call("list", "--failed")
    assert (code, [row["key"] for row in listed["data"]]) == (DONE, [key])
    assert call("replay", "--key", key) == (DONE, {"stored": 1, "failed": 0})
    assert call("list", "--failed") == (DONE, {"data": [], "next_cursor": None})
    assert call("list", tenant=str(place.tenant()))[0] == REFUSED


def place_s3() -> Any:
    from switchboard.kernel import aws

    return aws.client("s3")
