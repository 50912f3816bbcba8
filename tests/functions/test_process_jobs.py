"""functions/process_jobs: the tick and the nudge run what is due, on a real database."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Any, NamedTuple

import psycopg
import pytest

from functions.process_jobs import app
from switchboard.jobs._kind import JOB_KINDS, Effects, JobKind
from switchboard.jobs._kind import Context as JobContext
from switchboard.kernel.errors import Unavailable
from switchboard.kernel.settings import Settings
from switchboard.store import jobs as store
from switchboard.tools import NUDGE_S, Tools
from switchboard.worker import MARGIN_S, drain
from tests.databases import ClonedDatabase, WarmDatabase, part_with
from tests.db.jobs_worker import AnyArgs, Kinds
from tests.invocations import Slow

#: As EventBridge Scheduler calls a target whose input the template does not change.
TICK = {
    "version": "0",
    "id": "12345678-1234-1234-1234-123456789012",
    "detail-type": "Scheduled Event",
    "source": "aws.scheduler",
    "time": "2026-11-20T14:00:00Z",
    "detail": "{}",
}


@dataclass(frozen=True)
class Context:
    """The parts of Lambda's context that the function uses."""

    seconds: float = 120.0
    aws_request_id: str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


@pytest.fixture
def tools(database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tools]:
    made = Tools(Settings(database_url=database.app_url), db=WarmDatabase(database))
    monkeypatch.setattr(app, "tools", lambda: made)
    yield made
    part_with(made.db)


@pytest.mark.parametrize(
    ("event", "source"), [(TICK, "aws.scheduler"), ({"source": "nudge"}, "nudge"), ({}, "direct")]
)
def test_housekeeping_runs_and_the_counts_are_returned_and_logged(
    tools: Tools,
    database: ClonedDatabase,
    capfd: pytest.CaptureFixture[str],
    event: dict[str, Any],
    source: str,
) -> None:
    answer = app.handler(event, Context())
    housekeeping = sorted(kind.name for kind in JOB_KINDS if kind.every_s is not None)
    assert {"drain_backlog", "ensure_partitions", "sweep"} <= set(housekeeping)
    assert answer["ticked"] == answer["completed"] == len(housekeeping)
    assert answer["stopped"] == "idle"
    json.dumps(answer)  # what Lambda does with it
    line = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert line["message"] == "worker.ended"
    assert (line["source"], line["completed"]) == (source, len(housekeeping))
    with psycopg.connect(database.superuser_url) as everything:
        rows = everything.execute(
            "select job_type, status from messaging.scheduled_jobs order by job_type"
        ).fetchall()
    assert rows == [(kind, "completed") for kind in housekeeping]


def test_a_second_call_in_the_same_period_repeats_nothing(tools: Tools) -> None:
    # Two minutes may begin between two calls, so three calls hold two of one minute.
    answers = [app.handler(TICK, Context()) for _ in range(3)]
    assert 0 in [answer["ticked"] for answer in answers]


def test_without_time_nothing_is_begun(tools: Tools, database: ClonedDatabase) -> None:
    answer = app.handler({"source": "nudge"}, Context(seconds=3.0))
    assert (answer["stopped"], answer["completed"]) == ("time", 0)


def test_a_database_that_is_away_is_an_answer_and_no_error(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Tools(Settings(database_url="postgresql://app@127.0.0.1:1/nowhere"))
    monkeypatch.setattr(app, "tools", lambda: away)
    began = time.monotonic()
    assert app.handler(TICK, Context())["stopped"] == "database"
    assert time.monotonic() - began < 10


def test_a_job_of_a_kind_without_code_stays(tools: Tools, database: ClonedDatabase) -> None:
    tenant = uuid.uuid4()
    with psycopg.connect(database.superuser_url, autocommit=True) as everything:
        everything.execute(
            "insert into messaging.tenants (id, slug, name) values (%s, 'a', 'A')", (tenant,)
        )
        everything.execute(
            "insert into messaging.scheduled_jobs (tenant_id, job_type) values (%s, 'tomorrow')",
            (tenant,),
        )
        app.handler(TICK, Context())
        row = everything.execute(
            "select status, attempts from messaging.scheduled_jobs where tenant_id = %s", (tenant,)
        ).fetchone()
    assert row == ("pending", 0)


# ----------------------------------------------------------------------------- deadlines


class Pace(NamedTuple):
    """Seconds that each thing takes, and whether there are always sends to wait for."""

    statement: float
    record: float
    nudge: float
    sends: bool


class SlowSends:
    """Sends that use all the time they are given."""

    def __init__(self, invocation: Slow, *, busy: bool) -> None:
        self._invocation = invocation
        self._busy = busy

    def run_due(self, tools: Tools, deadline: float) -> dict[str, int]:
        if self._busy:
            self._invocation.now = max(self._invocation.now, deadline)
        return {}

    def next_in(self, tools: Tools) -> float | None:
        return None


@pytest.mark.parametrize(
    "pace",
    [
        Pace(0.01, 0.02, 0.1, sends=True),
        # As slow as its statements may be, records on a link that has died besides.
        Pace(3.0, MARGIN_S, NUDGE_S, sends=False),
        Pace(3.0, MARGIN_S, NUDGE_S, sends=True),
    ],
)
def test_no_run_outlives_its_invocation_and_what_is_left_is_the_next_ones(
    tools: Tools, database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch, pace: Pace
) -> None:
    nudges: list[bool] = []
    # Kinds that take all the time that they say they need.
    needs = {"quick": 0.1, "usual": 30.0, "longest": max(kind.needs_s for kind in JOB_KINDS)}
    invocation = Slow(tools, 0.0)

    def kind(name: str) -> JobKind[AnyArgs]:
        def run(_context: JobContext, _args: AnyArgs) -> Effects:
            invocation.now += needs[name]
            return Effects()

        return JobKind(name=name, args=AnyArgs, run=run, needs_s=needs[name])

    kinds = Kinds(*map(kind, needs))
    with psycopg.connect(database.superuser_url) as everything:
        everything.execute(
            "insert into messaging.tenants (id, slug, name) values (gen_random_uuid(), 'a', 'A')"
        )
        everything.execute(
            "insert into messaging.scheduled_jobs (tenant_id, job_type)"
            " select t.id, k.name from messaging.tenants t,"
            " (values ('quick', 60), ('usual', 6), ('longest', 3)) as k(name, count),"
            " generate_series(1, k.count) where t.slug = 'a'"
        )
    runs, left = 0, 69
    # A frozen environment, say, has cost some of them time before they began.
    budgets = cycle([120.0, 119.0, 100.0, 30.0, 5.0])
    while left:
        invocation = Slow(tools, next(budgets))
        with monkeypatch.context() as slowed:
            slowed.setattr(
                app,
                "drain",
                partial(drain, kinds=kinds, sends=SlowSends(invocation, busy=pace.sends)),
            )
            for name in ("claim", "mark_worker", "clear_mark", "await_intakes"):
                invocation.slows(slowed, store, name, pace.statement)
            invocation.slows(slowed, store, "finish", pace.record)
            slowed.setattr(tools, "nudge", lambda: nudges.append(True))
            invocation.slows(slowed, tools, "nudge", pace.nudge)
            answer = app.handler({"source": "nudge"}, invocation)
        runs += 1
        left -= answer["completed"]
        assert invocation.now <= invocation.end, (runs, answer)
        assert answer["stopped"] == ("time" if left else answer["stopped"])
        assert runs < 300, "it comes to no end"
    assert runs > 1
    assert nudges
    with psycopg.connect(database.superuser_url) as everything:
        states = everything.execute(
            "select status, count(*) from messaging.scheduled_jobs group by 1"
        ).fetchall()
    assert states == [("completed", 69)]


# ----------------------------------------------------------------------------- events of mails


def event_of_ses(tenant: str = "0d5f3c1e-0000-4000-8000-000000000001") -> dict[str, Any]:
    """Return an event of a mail that is not there."""
    tags = {"switchboard_tenant": [tenant], "switchboard_email": [tenant]}
    return {
        "source": "aws.ses",
        "detail-type": "Email Bounced",
        "time": "2031-03-03T12:00:09Z",
        "detail": {
            "eventType": "Bounce",
            "bounce": {"bounceType": "Permanent", "timestamp": "2031-03-03T12:00:09Z"},
            "mail": {"messageId": "1", "tags": tags},
        },
    }


def kept(database: ClonedDatabase) -> list[tuple[str, str]]:
    with psycopg.connect(database.superuser_url) as everything:
        return everything.execute(
            "select reason, detail from messaging.webhook_dead_letters order by detail"
        ).fetchall()


def test_what_ses_tells_is_taken_and_no_job_is_run(tools: Tools, database: ClonedDatabase) -> None:
    assert app.handler(event_of_ses(), Context()) == {"mail_event": "letter"}
    assert kept(database) == [("email_event", "there is no such mail")]
    with psycopg.connect(database.superuser_url) as everything:
        assert everything.execute("select from messaging.scheduled_jobs").fetchall() == []


def test_a_batch_of_events_is_taken_each_for_itself(
    tools: Tools, database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = event_of_ses()
    odd["detail"]["bounce"] |= {"half": "\ud83d", "long": 10**30}
    # What is no JSON, what is none of SES, and what only some programs can write as JSON.
    bodies = [json.dumps(event_of_ses()), "{no", "[" * 100_000, "[]", json.dumps(odd), "\ud83d"]
    records = [{"messageId": str(n), "body": body} for n, body in enumerate(bodies)]
    assert app.handler({"Records": records}, Context()) == {"batchItemFailures": []}
    assert {reason for reason, _ in kept(database)} == {"email_event"}
    assert len(kept(database)) == len(bodies)


def test_events_that_there_is_no_time_for_come_again(
    tools: Tools, database: ClonedDatabase
) -> None:
    records = [{"messageId": "a", "body": json.dumps(event_of_ses())}]
    assert app.handler({"Records": records}, Context(app.EVENT_S - 1)) == {
        "batchItemFailures": [{"itemIdentifier": "a"}]
    }
    assert kept(database) == []


def test_while_the_database_is_away_events_come_again(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Tools(Settings(database_url="postgresql://app@127.0.0.1:1/nowhere"))
    monkeypatch.setattr(app, "tools", lambda: away)
    records = [{"messageId": "a", "body": json.dumps(event_of_ses())}]
    assert app.handler({"Records": records}, Context()) == {
        "batchItemFailures": [{"itemIdentifier": "a"}]
    }
    with pytest.raises(Unavailable):
        app.handler(event_of_ses(), Context())


def test_a_cold_start_pays_for_no_mail() -> None:
    program = (
        "import sys\n"
        "from functions.process_jobs import app\n"
        "from switchboard.jobs._kind import JOB_KINDS\n"
        "assert {'send_email', 'ask_agent'} <= {kind.name for kind in JOB_KINDS}\n"
        "wrong = ('switchboard.mail', 'switchboard.ses', 'switchboard.automation.agent_runs')\n"
        "assert not [name for name in sys.modules if name.startswith((*wrong, 'botocore'))]\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
