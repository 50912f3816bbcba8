"""The backlog is drained every minute, in slices behind which nobody waits for long."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import boto3
import orjson
import pytest
from moto import mock_aws

from switchboard.intake import backlog
from switchboard.intake.backlog import Drained
from switchboard.jobs import drain_backlog
from switchboard.jobs._kind import Context, Effects, JobKind, NoArgs
from switchboard.kernel import aws
from switchboard.kernel.settings import Settings
from switchboard.tools import Tools
from tests.databases import ClonedDatabase, part_with
from tests.db.jobs_at_hand import opened
from tests.db.jobs_worker import Bench, Kinds, note


@pytest.fixture
def bench(database: ClonedDatabase) -> Iterator[Bench]:
    with opened(database) as jobs:
        bench = Bench(jobs)
        yield bench
        part_with(bench.tools.db)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty backlog bucket of a stand-in for S3."""
    for name, value in {
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        aws.client.cache_clear()
        boto3.client("s3").create_bucket(
            Bucket="backlog", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        yield "backlog"
    aws.client.cache_clear()


def results(bench: Bench) -> list[dict[str, object]]:
    """Return the results of the finished drains, oldest first."""
    rows = bench.jobs.everything.execute(
        "select result from messaging.scheduled_jobs"
        " where job_type = 'drain_backlog' and status = 'completed' order by finished_at, id"
    ).fetchall()
    return [row[0] for row in rows]


def test_what_waits_goes_through_intake_and_is_gone(bench: Bench, bucket: str) -> None:
    bench.tools.settings = Settings(database_url=bench.jobs.database.app_url, backlog_bucket=bucket)
    change = {
        "field": "messages",
        "value": {
            "metadata": {"phone_number_id": "1999", "display_phone_number": "1"},
            "messages": [
                {"id": "wamid.1", "from": "49151", "timestamp": "1", "type": "text", "text": {}}
            ],
        },
    }
    entry = {"id": "2999", "changes": [change]}
    body = orjson.dumps({"object": "whatsapp_business_account", "entry": [entry]})
    backlog.put(bench.tools, body, None)
    bench.drain(Kinds(drain_backlog.KIND))
    assert results(bench) == [{"stored": 1, "failed": 0, "given_up": 0, "more": False}]
    assert boto3.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    # Nobody here knows the number: the event is kept for the operator.
    kept = bench.jobs.everything.execute(
        "select count(*) from messaging.webhook_dead_letters"
    ).fetchone()
    assert kept == (1,)


def test_a_long_backlog_is_drained_in_slices_behind_everything_else(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = 12

    def drain(tools: Tools, enough_time: Callable[[], bool]) -> Drained:
        nonlocal left
        drained = Drained()
        while left and enough_time():
            bench.tools.seconds += 1.0  # a second a body
            left -= 1
            drained.stored += 1
        return drained

    monkeypatch.setattr(backlog, "drain", drain)
    order: list[str] = []

    def run(context: Context, _: NoArgs) -> Effects:
        order.append("live")
        return note(context)

    live = JobKind(name="live", args=NoArgs, run=run)

    def look(turn: int) -> None:
        if turn == 1:
            bench.jobs.put(bench.jobs.tenant(), "live", priority=10)
        order.append(f"{12 - left} stored")

    bench.sends.then = look
    bench.drain(Kinds(drain_backlog.KIND, live))
    assert [result["stored"] for result in results(bench)] == [5, 5, 2]
    assert [result["more"] for result in results(bench)] == [True, True, False]
    assert order.index("live") == 1  # right behind the first slice


def test_one_drain_at_a_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[int] = []

    def drain(tools: Tools, enough_time: Callable[[], bool]) -> Drained:
        if len(turns) == 0:
            # The next minute's tick comes while this one is still at it.
            bench.later(60)
            other = Bench.__new__(Bench)
            other.jobs, other.tools, other.sends = bench.jobs, tools, bench.sends  # type: ignore[assignment]
            turns.append(1)
            assert other.drain(Kinds(drain_backlog.KIND)).completed == 0
        else:
            turns.append(2)
        return Drained()

    monkeypatch.setattr(backlog, "drain", drain)
    bench.drain(Kinds(drain_backlog.KIND))
    assert turns == [1, 2]
