"""The edge of trigger_automation: ticks, outside events, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
import pytest

from functions.trigger_automation import app
from switchboard.automation.due import MARGIN_S, STATEMENT_MS
from switchboard.kernel.errors import BadRequest, NotFound
from switchboard.kernel.settings import Settings
from switchboard.store import automations as store
from switchboard.tools import Tools
from tests.databases import ClonedDatabase, WarmDatabase, part_with
from tests.invocations import Slow

TENANT = UUID("0a000000-0000-7000-8000-000000000001")
DISABLED = UUID("0a000000-0000-7000-8000-000000000002")


@pytest.fixture
def tools(database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tools]:
    with psycopg.connect(database.superuser_url) as connection:
        connection.cursor().executemany(
            "insert into messaging.tenants (id, slug, name, is_active) values (%s, %s, 'A', %s)",
            [(TENANT, "acme", True), (DISABLED, "gone", False)],
        )
    made = Tools(Settings(database_url=database.app_url), db=WarmDatabase(database))
    monkeypatch.setattr(app, "tools", lambda: made)
    yield made
    part_with(made.db)


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


def backlog(database: ClonedDatabase, subjects: int) -> None:
    """Let a rule be due for so many subjects, and another each minute."""
    with psycopg.connect(database.superuser_url) as link:
        link.execute("select set_config('switchboard.rehearsing', 'on', true)")
        link.execute(
            "insert into messaging.automation_rules (tenant_id, id, name, trigger_type,"
            " trigger_config, action_type, grace) values"
            " (%s, %s, 'R', 'trip_start', '{}', 'update_trip', '1 year'),"
            " (%s, %s, 'S', 'schedule', '{\"every_minutes\": 1}', 'update_trip', '1 year')",
            (TENANT, UUID(int=1), TENANT, UUID(int=2)),
        )
        link.execute(
            "insert into messaging.automation_due (tenant_id, rule_id, subject_id, occurrence,"
            " due_at) select %s, %s, gen_random_uuid(), 'o', now() - interval '1 hour'"
            " from generate_series(1, %s)",
            (TENANT, UUID(int=1), subjects),
        )
        link.execute(
            "insert into messaging.automation_due (tenant_id, rule_id, subject_id, occurrence,"
            " due_at) values (%s, %s, %s, 'o', now() - interval '2 hours')",
            (TENANT, UUID(int=2), UUID(int=2)),
        )


class Pace(NamedTuple):
    """Seconds that each thing takes, with so many subjects to be due for."""

    statement: float
    link: float
    nudge: float
    subjects: int


@pytest.mark.parametrize(
    "pace",
    [
        Pace(0.5, 0.0, 0.1, 20_000),
        # As slow as its statements may be, and on a link that has died besides.
        Pace(STATEMENT_MS / 1000, 0.0, 23.0, 3_000),
        Pace(STATEMENT_MS / 1000 - 0.1, 11.0, 23.0, 2_000),
    ],
)
def test_no_tick_outlives_its_invocation_and_what_is_left_is_the_next_ones(
    tools: Tools,
    database: ClonedDatabase,
    monkeypatch: pytest.MonkeyPatch,
    pace: Pace,
) -> None:
    backlog(database, pace.subjects)
    nudges: list[bool] = []
    ticks, started, left = 0, 0, pace.subjects
    # A frozen environment, say, has cost some of them time before they began.
    budgets = cycle([50.0, MARGIN_S - 4, MARGIN_S + 1, 33.0, 41.0])
    while True:
        invocation = Slow(tools, next(budgets))
        with monkeypatch.context() as slowed:
            for name in ("take_due", "plan_schedules"):
                invocation.slows(slowed, store, name, pace.statement)
            invocation.slows(slowed, tools.db, "connection", pace.link)
            slowed.setattr(tools, "nudge", lambda: nudges.append(True))
            invocation.slows(slowed, tools, "nudge", pace.nudge)
            answer = app.handler({"source": "schedule"}, invocation)
        ticks += 1
        started += answer["started"]
        assert invocation.now <= invocation.end, (ticks, answer)
        with psycopg.connect(database.superuser_url) as everything:
            count = "select count(*) from messaging.automation_due where rule_id = %s"
            row = everything.execute(count, (UUID(int=1),)).fetchone()
        assert row is not None
        room = invocation.end - 1000.0 >= MARGIN_S
        assert row[0] < left if room and left else row[0] == left
        left = row[0]
        if answer["stopped"] == "idle":
            break
        assert answer["stopped"] == "time"
    assert left == 0
    assert ticks > 1
    assert nudges
    with psycopg.connect(database.superuser_url) as everything:
        runs = everything.execute("select count(*) from messaging.automation_runs").fetchone()
        jobs = everything.execute("select count(*) from messaging.scheduled_jobs").fetchone()
    assert runs == jobs == (started,)
    assert started > pace.subjects


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
