"""At size: a claim and a finish touch what they take, however much else there is."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import orjson
import psycopg
import pytest

from switchboard.store import jobs as store
from tests.databases import ClonedDatabase
from tests.db.jobs_at_hand import LEASE, START, Jobs, opened

#: Finished, waiting for their time, due and stuck behind another of their lane.
KEPT, FUTURE, DUE, BEHIND = 120_000, 60_000, 20_000, 5_000


@pytest.fixture
def jobs(database: ClonedDatabase) -> Iterator[Jobs]:
    with opened(database) as jobs:
        tenants = [jobs.tenant() for _ in range(5)]
        for count, status, due, lane in (
            (KEPT, "completed", START - timedelta(days=1), "n::text"),
            (FUTURE, "pending", START + timedelta(days=1), "null"),
            (DUE, "pending", START - timedelta(hours=1), "'a' || n"),
            (BEHIND, "pending", START, "'a' || n"),
        ):
            jobs.everything.execute(
                "insert into messaging.scheduled_jobs"
                " (tenant_id, job_type, status, scheduled_for, lane)"
                f" select (%s::uuid[])[1 + n %% 5], 'work', %s, %s, {lane}"
                " from generate_series(1, %s) as n",
                (tenants, status, due, count),
            )
        jobs.everything.execute("vacuum (analyze) messaging.scheduled_jobs")
        yield jobs


def plans(jobs: Jobs, action: Any) -> list[dict[str, Any]]:
    """Run `action(connection)` and return the plan of every statement inside the doors."""
    found: list[dict[str, Any]] = []
    with psycopg.connect(jobs.database.superuser_url, autocommit=True) as connection:
        connection.execute("load 'auto_explain'")
        for name, value in {
            "log_min_duration": "0",
            "log_nested_statements": "on",
            "log_analyze": "on",
            "log_timing": "off",
            "log_format": "json",
        }.items():
            connection.execute(f"set auto_explain.{name} = '{value}'")
        connection.execute("set client_min_messages = 'log'")

        def notice(diagnostic: psycopg.errors.Diagnostic) -> None:
            _, _, text = (diagnostic.message_primary or "").partition("plan:\n")
            if text:
                found.append(orjson.loads(text)["Plan"])

        connection.add_notice_handler(notice)
        action(connection)
    return found


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a plan's nodes, itself first."""
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def test_a_claim_and_a_finish_look_up_by_index_and_touch_what_they_take(jobs: Jobs) -> None:
    token = uuid.uuid4()
    claimed: list[store.Claimed] = []

    def work(connection: psycopg.Connection[Any]) -> None:
        claimed.extend(
            store.claim(
                connection, kinds={"work": 8}, limit=100, lease=LEASE, token=token, now=START
            )
        )
        ended = [store.Ended(job.tenant_id, job.id, "completed") for job in claimed]
        assert len(store.finish(connection, token, ended, now=START)) == 100

    found = [node for plan in plans(jobs, work) for node in nodes(plan)]
    on_jobs = [node for node in found if node.get("Relation Name") == "scheduled_jobs"]
    assert {node["Node Type"] for node in on_jobs} <= {
        "Index Scan",
        "Index Only Scan",
        "Tid Scan",
        "ModifyTable",
    }
    used = {node["Index Name"] for node in on_jobs if "Index Name" in node}
    assert used == {
        "scheduled_jobs_due",
        "scheduled_jobs_lane",
        "scheduled_jobs_leased",
        "scheduled_jobs_running",
        "scheduled_jobs_pkey",
    }
    read = sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in on_jobs
        if "Scan" in node["Node Type"]
    )
    assert read < 1_000


@pytest.mark.soak
def test_what_is_kept_and_what_is_not_due_cost_a_claim_little(jobs: Jobs) -> None:
    def claim_all() -> int:
        claimed = 0
        while True:
            token = uuid.uuid4()
            batch = jobs.claim(500, token=token)
            if not batch:
                return claimed
            claimed += len(jobs.finish(token, batch))

    assert claim_all() == DUE + BEHIND
    assert jobs.count("completed") == KEPT + DUE + BEHIND
    assert jobs.count("pending") == FUTURE
