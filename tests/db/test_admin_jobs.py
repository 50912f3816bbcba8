"""The operator's view of the jobs of all tenants, as the plain owner."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from switchboard import admin
from switchboard.kernel.clock import Clock
from switchboard.kernel.db import Database
from switchboard.kernel.errors import ConfigurationError, Unprocessable
from switchboard.kernel.owner import OwnerSettings
from switchboard.tools import Tools
from tests.databases import ClonedDatabase
from tests.db.jobs_at_hand import START, Jobs, opened


@pytest.fixture
def jobs(database: ClonedDatabase) -> Iterator[Jobs]:
    with opened(database) as jobs:
        yield jobs


def ask(jobs: Jobs, command: str, *, url: str | None = None, **arguments: Any) -> Any:
    """Run a command as the owner, at START; return the rows."""
    clock = Clock(now=START)
    tools = Tools(OwnerSettings(), db=Database(url or jobs.database.owner_url), clock=clock)
    try:
        return admin.run(command, arguments, tools=tools)["rows"]
    finally:
        tools.db.drop()


def failed(jobs: Jobs, tenant: uuid.UUID, job_type: str, minutes: int) -> int:
    """Let a job fail so many minutes before START; return its id."""
    when = START - timedelta(minutes=minutes)
    (job,) = jobs.put(tenant, job_type, due=when)
    token = uuid.uuid4()
    claimed = jobs.claim(token=token, now=when, kinds={job_type: 1})
    assert jobs.finish(token, claimed, "failed", now=when, error="Boom") == {job}
    return job


def test_the_latest_failed_of_all_tenants_come_first(jobs: Jobs) -> None:
    a, b = jobs.tenant(), jobs.tenant()
    old, new, middle = failed(jobs, a, "x", 90), failed(jobs, b, "x", 1), failed(jobs, a, "y", 5)
    jobs.put(a, "x")

    rows = ask(jobs, "job list")

    assert [row["id"] for row in rows] == [new, middle, old]
    assert rows[0]["tenant"] == f"t-{b}"
    assert (rows[0]["type"], rows[0]["status"], rows[0]["error"]) == ("x", "failed", "Boom")
    assert [row["id"] for row in ask(jobs, "job list", type="x")] == [new, old]
    assert [row["id"] for row in ask(jobs, "job list", limit=1)] == [new]


def test_running_and_pending_ones_are_shown_the_longest_first(jobs: Jobs) -> None:
    a, b = jobs.tenant(), jobs.tenant()
    (second,) = jobs.put(a, due=START - timedelta(minutes=1))
    (first,) = jobs.put(b, due=START - timedelta(minutes=2))
    assert [row["id"] for row in ask(jobs, "job list", status="pending")] == [first, second]
    jobs.claim(1, now=START - timedelta(seconds=30))
    jobs.claim(1, now=START)
    assert [row["id"] for row in ask(jobs, "job list", status="running")] == [first, second]
    assert ask(jobs, "job list", status="pending") == []
    with pytest.raises(Unprocessable):
        ask(jobs, "job list", status="completed")


def test_depth_is_told_by_priority_and_tenant(jobs: Jobs) -> None:
    a, b = jobs.tenant(), jobs.tenant()
    jobs.put(a, priority=10, due=START - timedelta(minutes=3), count=2)
    jobs.put(b, priority=10, due=START + timedelta(minutes=3))
    failed(jobs, b, "x", 10)

    rows = ask(jobs, "job depth")

    waiting, later, dead = rows
    assert waiting == {
        "priority": 10,
        "tenant": f"t-{a}",
        "pending": 2,
        "due": 2,
        "running": 0,
        "failed": 0,
        "oldest_due": "2031-03-04T11:57:00+00:00",
    }
    assert (later["tenant"], later["pending"], later["due"]) == (f"t-{b}", 1, 0)
    assert later["oldest_due"] is None
    assert (dead["tenant"], dead["priority"], dead["failed"]) == (f"t-{b}", 20, 1)


@pytest.mark.parametrize("command", ["job list", "job depth"])
def test_the_functions_role_may_not_ask(jobs: Jobs, command: str) -> None:
    with pytest.raises(ConfigurationError):
        ask(jobs, command, url=jobs.database.app_url)
