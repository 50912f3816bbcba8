"""The edge of trigger_automation: ticks, outside events, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest

from functions.trigger_automation import app
from switchboard.automation.due import MARGIN_S
from switchboard.kernel.errors import BadRequest, NotFound
from switchboard.kernel.settings import Settings
from switchboard.tools import Tools
from tests.databases import ClonedDatabase

TENANT = UUID("0a000000-0000-7000-8000-000000000001")
DISABLED = UUID("0a000000-0000-7000-8000-000000000002")


@pytest.fixture
def tools(database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tools]:
    with psycopg.connect(database.superuser_url) as connection:
        connection.cursor().executemany(
            "insert into messaging.tenants (id, slug, name, is_active) values (%s, %s, 'A', %s)",
            [(TENANT, "acme", True), (DISABLED, "gone", False)],
        )
    made = Tools(Settings(database_url=database.app_url))
    monkeypatch.setattr(app, "tools", lambda: made)
    yield made
    made.db.drop()


class Invocation:
    """What Lambda says of an invocation that has so many seconds left."""

    aws_request_id = "r"

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


@pytest.mark.parametrize(("seconds", "stopped"), [(50.0, "idle"), (MARGIN_S - 1, "time")])
def test_a_tick_looks_at_what_is_due_while_there_is_time(
    tools: Tools, seconds: float, stopped: str
) -> None:
    answer = app.handler({"source": "schedule"}, Invocation(seconds))
    assert answer == {"started": 0, "passed": 0, "stopped": stopped}


def test_an_event_that_no_rule_listens_to_starts_nothing(tools: Tools) -> None:
    event = {"tenant_id": str(TENANT), "event": "booking_pending"}
    assert app.handler(event, Invocation(50.0)) == {"started": 0}


def test_a_database_that_is_away_ends_a_tick_without_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    away = Tools(Settings(database_url="postgresql://app@127.0.0.1:1/nowhere"))
    monkeypatch.setattr(app, "tools", lambda: away)
    answer = app.handler({"source": "schedule"}, Invocation(50.0))
    assert answer == {"started": 0, "passed": 0, "stopped": "database"}


@pytest.mark.parametrize("tenant_id", [DISABLED, UUID(int=7)])
def test_an_event_of_a_tenant_that_is_not_there_is_refused(tools: Tools, tenant_id: UUID) -> None:
    with pytest.raises(NotFound) as refused:
        app.handler({"tenant_id": str(tenant_id), "event": "booking_pending"}, None)
    assert refused.value.field == "tenant_id"


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({}, "tenant_id"),
        ({"tenant_id": "acme", "event": "booking_pending"}, "tenant_id"),
        ({"tenant_id": str(TENANT)}, "event"),
        ({"tenant_id": str(TENANT), "event": ""}, "event"),
    ],
)
def test_an_event_that_cannot_be_meant_is_refused(event: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequest) as refused:
        app.handler(event, None)
    assert refused.value.field == field
