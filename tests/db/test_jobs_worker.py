"""The worker: done, later or dead, each exactly once; awake, and when it ends."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from switchboard.jobs._kind import Context, Effects, JobKind, NewJob, NoArgs
from switchboard.kernel.clock import Clock
from switchboard.kernel.errors import GiveUp, MetaAway, Snooze
from switchboard.store import jobs as store
from switchboard.worker import JOBS_S, MARGIN_S, Summary
from tests.databases import ClonedDatabase, part_with
from tests.db.jobs_at_hand import START, opened
from tests.db.jobs_worker import AnyArgs, Bench, Kinds, WorkerTools, note, work


@pytest.fixture
def bench(database: ClonedDatabase) -> Iterator[Bench]:
    with opened(database) as jobs:
        bench = Bench(jobs)
        yield bench
        part_with(bench.tools.db)


class TestDone:
    """Effects and completion are one commit."""

    def test_a_job_runs_and_its_effect_and_result_are_kept(self, bench: Bench) -> None:
        tenant = bench.jobs.tenant()
        (job,) = bench.jobs.put(tenant)
        summary = bench.drain(work(lambda context, _: note(context)))
        assert summary == Summary(completed=1, stopped="idle")
        assert bench.notes() == [(job, "done")]
        row = bench.jobs.row(job)
        assert (row["status"], row["result"]) == ("completed", {"noted": "done"})
        seen = bench.jobs.everything.execute("select tenant_id from public.effects").fetchall()
        assert seen == [(tenant,)]

    def test_jobs_without_effects_are_recorded_too(self, bench: Bench) -> None:
        bench.jobs.put(bench.jobs.tenant(), count=25)
        summary = bench.drain(work(lambda context, _: Effects(result={"of": context.job_id})))
        assert summary.completed == 25
        results = bench.jobs.everything.execute(
            "select id, result ->> 'of' from messaging.scheduled_jobs"
        ).fetchall()
        assert all(str(job) == of for job, of in results)

    def test_follow_up_jobs_are_put_in_and_run(self, bench: Bench) -> None:
        tenant = bench.jobs.tenant()
        bench.jobs.put(tenant)

        def run(context: Context, args: AnyArgs) -> Effects:
            left = (args.model_extra or {}).get("left", 3)
            again = NewJob("work", args={"left": left - 1}, lane="a")
            return Effects(jobs=(again,) if left else (), result={"left": left})

        assert bench.drain(work(run)).completed == 4
        assert bench.jobs.count("completed") == 4

    def test_unknown_kinds_are_left_alone(self, bench: Bench) -> None:
        (job,) = bench.jobs.put(bench.jobs.tenant(), "kind_of_tomorrow")
        assert bench.drain(work(lambda context, _: note(context))) == Summary()
        assert bench.jobs.row(job)["status"] == "pending"

    def test_lanes_run_in_order(self, bench: Bench) -> None:
        tenant = bench.jobs.tenant()
        first = bench.jobs.put(tenant, lane="a", count=12)
        bench.drain(work(lambda context, _: note(context)))
        assert [job for job, _ in bench.notes()] == first


class TestLater:
    """What fails is tried again, what says so is put off."""

    def test_an_error_is_tried_again_after_a_while_and_leaves_no_effect(self, bench: Bench) -> None:
        (job,) = bench.jobs.put(bench.jobs.tenant())
        tries = []

        def run(context: Context, _: AnyArgs) -> Effects:
            tries.append(context.attempt)
            if len(tries) < 3:
                raise RuntimeError("my secret number is 4915112345678")
            return note(context)

        assert bench.drain(work(run)).retried == 1
        row = bench.jobs.row(job)
        assert (row["status"], row["attempts"]) == ("pending", 1)
        assert row["error_message"] == "RuntimeError"
        delay = datetime.fromisoformat(row["scheduled_for"]) - START
        assert timedelta(0) <= delay <= timedelta(seconds=2)
        for _ in range(2):
            bench.later(900)
            bench.drain(work(run))
        assert (tries, bench.notes()) == ([1, 2, 3], [(job, "done")])
        assert bench.jobs.row(job)["error_message"] is None

    def test_the_last_attempt_ends_it(self, bench: Bench) -> None:
        (job,) = bench.jobs.put(bench.jobs.tenant())

        def run(context: Context, _: AnyArgs) -> Effects:
            raise LookupError

        outcomes = []
        for _ in range(4):
            summary = bench.drain(work(run, max_attempts=3))
            outcomes.append((summary.retried, summary.failed))
            bench.later(900)
        assert outcomes == [(1, 0), (1, 0), (0, 1), (0, 0)]
        row = bench.jobs.row(job)
        assert (row["status"], row["attempts"]) == ("failed", 3)
        assert row["error_message"] == "LookupError"

    def test_a_failing_effect_takes_the_others_with_it(self, bench: Bench) -> None:
        (job,) = bench.jobs.put(bench.jobs.tenant())

        def run(context: Context, _: AnyArgs) -> Effects:
            written = note(context)

            def fail(connection: psycopg.Connection[tuple[object, ...]]) -> None:
                connection.execute("select 1 / 0")

            return Effects(writes=(*written.writes, fail), jobs=(NewJob("work"),))

        assert bench.drain(work(run)).retried == 1
        assert bench.notes() == []
        row = bench.jobs.row(job)
        assert row["error_message"] == "DivisionByZero 22012"
        assert bench.jobs.count("pending") == 1  # the follow-up was taken back as well

    def test_a_snooze_spends_no_attempt(self, bench: Bench) -> None:
        (job,) = bench.jobs.put(bench.jobs.tenant())
        until = START + timedelta(minutes=3)

        def run(context: Context, _: AnyArgs) -> Effects:
            if bench.tools.clock.now == START:
                raise Snooze(until)
            return note(context, str(context.attempt))

        assert bench.drain(work(run, max_attempts=1)).snoozed == 1
        row = bench.jobs.row(job)
        assert (row["status"], row["attempts"]) == ("pending", 0)
        assert row["scheduled_for"] == until.isoformat()
        bench.later(180)
        bench.drain(work(run, max_attempts=1))
        assert bench.notes() == [(job, "1")]

    def test_giving_up_ends_it_at_once_and_frees_the_lane(self, bench: Bench) -> None:
        first, second = bench.jobs.put(bench.jobs.tenant(), lane="a", count=2)

        def run(context: Context, _: AnyArgs) -> Effects:
            if context.job_id == first:
                raise GiveUp("no such conversation")
            return note(context)

        summary = bench.drain(work(run))
        assert (summary.failed, summary.completed) == (1, 1)
        assert bench.jobs.row(first)["error_message"] == "GiveUp"
        assert bench.notes() == [(second, "done")]

    def test_arguments_that_do_not_fit_end_it_at_once(
        self, bench: Bench, capfd: pytest.CaptureFixture[str]
    ) -> None:
        class OneId(AnyArgs):
            message_id: uuid.UUID

        (job,) = bench.jobs.put(bench.jobs.tenant())
        bench.jobs.everything.execute(
            'update messaging.scheduled_jobs set args = \'{"message_id": "canary"}\''
        )
        kind = JobKind(name="work", args=OneId, run=lambda context, _: note(context))
        assert bench.drain(Kinds(kind)).failed == 1
        assert bench.jobs.row(job)["status"] == "failed"
        assert "canary" not in capfd.readouterr().out


class TestFence:
    """Whoever comes after the end of a lease writes nothing."""

    def test_the_effects_of_a_late_worker_are_taken_back(self, bench: Bench) -> None:
        (job,) = bench.jobs.put(bench.jobs.tenant())

        def run(context: Context, _: AnyArgs) -> Effects:
            if context.attempt == 1:
                # Meanwhile the lease ends, and another worker does the work.
                bench.later(1000)
                with WorkerToolsOf(bench) as other:
                    assert other.drain(kinds).completed == 1
            return note(context, str(context.attempt))

        kinds = work(run)
        summary = bench.drain(kinds)
        assert (summary.lost, summary.completed) == (1, 0)
        assert bench.notes() == [(job, "2")]
        assert bench.jobs.row(job)["result"] == {"noted": "2"}

    def test_a_late_worker_without_effects_is_told_as_well(self, bench: Bench) -> None:
        (job,) = bench.jobs.put(bench.jobs.tenant())

        def run(context: Context, _: AnyArgs) -> Effects:
            store.sweep(bench.jobs.app, now=START + timedelta(days=1))
            bench.jobs.everything.execute(
                "update messaging.scheduled_jobs set status = 'cancelled' where id = %s", (job,)
            )
            return Effects(result={"late": True})

        summary = bench.drain(work(run))
        assert (summary.lost, summary.completed) == (1, 0)
        assert bench.jobs.row(job)["result"] is None


class WorkerToolsOf:
    """A second worker's surroundings on the same database."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def __enter__(self) -> Bench:
        other = Bench.__new__(Bench)
        other.jobs, other.sends = self._bench.jobs, self._bench.sends
        other.tools = WorkerTools(self._bench.jobs.database)
        now = self._bench.tools.clock.now
        assert now is not None
        other.tools.at(now)
        self._tools = other.tools
        return other

    def __exit__(self, *_: object) -> None:
        self._tools.db.drop()


class TestTime:
    """A worker stops in time, gives back what it cannot do, and asks for another."""

    def test_without_time_it_claims_nothing_and_nudges(self, bench: Bench) -> None:
        bench.jobs.put(bench.jobs.tenant())
        summary = bench.drain(work(lambda context, _: note(context)), seconds=14.0)
        assert summary == Summary(stopped="time")
        assert bench.tools.nudges == 1
        assert bench.jobs.count("pending") == 1

    def test_jobs_behind_a_slow_one_are_given_back_as_if_never_claimed(self, bench: Bench) -> None:
        ids = bench.jobs.put(bench.jobs.tenant(), count=5)

        def run(context: Context, _: AnyArgs) -> Effects:
            bench.tools.seconds += 12.0
            return note(context)

        summary = bench.drain(work(run), seconds=50.0)
        assert (summary.completed, summary.stopped) == (2, "time")
        assert bench.tools.nudges == 1
        rows = [bench.jobs.row(job) for job in ids]
        assert [row["status"] for row in rows] == ["completed"] * 2 + ["pending"] * 3
        assert [row["attempts"] for row in rows] == [1, 1, 0, 0, 0]

    def test_a_slow_job_holds_up_what_is_urgent_for_its_own_time_alone(self, bench: Bench) -> None:
        slow = bench.jobs.put(bench.jobs.tenant(), count=3)
        urgent: list[int] = []

        def run(context: Context, _: AnyArgs) -> Effects:
            if context.job_id == slow[0]:
                urgent.extend(bench.jobs.put(bench.jobs.tenant(), priority=0))
            if context.job_id in slow:
                bench.tools.seconds += JOBS_S
            return note(context)

        assert bench.drain(work(run)).completed == 4
        assert [job for job, _ in bench.notes()] == [slow[0], *urgent, *slow[1:]]
        # What is sent has its turn after each of them, too.
        assert len(bench.sends.deadlines) >= 3
        assert [bench.jobs.row(job)["attempts"] for job in slow] == [1, 1, 1]

    def test_a_run_knows_how_long_it_may_take(self, bench: Bench) -> None:
        bench.jobs.put(bench.jobs.tenant())
        left = []

        def run(context: Context, _: AnyArgs) -> Effects:
            left.append(context.time_left())
            return Effects()

        bench.drain(work(run), seconds=60.0)
        assert left == [60.0 - MARGIN_S]

    def test_the_lease_outlives_the_worker(self, bench: Bench) -> None:
        (job,) = bench.jobs.put(bench.jobs.tenant())
        ends = []

        def run(context: Context, _: AnyArgs) -> Effects:
            ends.append(datetime.fromisoformat(bench.jobs.row(job)["lease_until"]) - START)
            return Effects()

        bench.drain(work(run), seconds=60.0)
        assert ends == [timedelta(seconds=65)]

    def test_sends_have_their_turn_between_jobs(self, bench: Bench) -> None:
        bench.jobs.put(bench.jobs.tenant(), count=30)
        bench.drain(work(lambda context, _: note(context)), seconds=60.0)
        assert len(bench.sends.deadlines) == 5  # three batches, a look, the last look
        assert max(bench.sends.deadlines) <= 60.0

    def test_sends_that_wait_for_a_moment_past_its_end_are_handed_over(self, bench: Bench) -> None:
        """A number's bucket fills in a tenth of a second: the next tick is a minute away."""

        def wait(seconds: float) -> None:
            bench.tools.seconds += seconds

        bench.tools.clock = Clock(now=START, monotonic=lambda: bench.tools.seconds, sleep=wait)
        bench.sends.soon = 0.125
        summary = bench.drain(work(lambda context, _: note(context)), seconds=20.0)
        assert summary.stopped == "time"
        assert bench.tools.nudges == 1

    def test_a_meta_that_is_away_costs_one_job_its_attempt(self, bench: Bench) -> None:
        first, second = bench.jobs.put(bench.jobs.tenant(), count=2)

        def run(context: Context, _: AnyArgs) -> Effects:
            if context.job_id == first:
                raise MetaAway("Meta gave no answer")
            return Effects()

        summary = bench.drain(work(run))
        assert (summary.completed, summary.retried, summary.stopped) == (1, 1, "idle")
        assert bench.jobs.row(first)["error_message"] == "MetaAway"
        assert bench.jobs.row(second)["status"] == "completed"

    def test_a_database_that_is_away_ends_it_without_an_error(self, bench: Bench) -> None:
        bench.tools = WorkerTools("postgresql://app@127.0.0.1:1/nowhere")
        summary = bench.drain(work(lambda context, _: note(context)))
        assert summary == Summary(stopped="database")

    def test_a_lost_database_gets_its_leases_back_when_it_answers(self, bench: Bench) -> None:
        ids = bench.jobs.put(bench.jobs.tenant(), count=3)

        def run(context: Context, _: AnyArgs) -> Effects:
            if context.job_id == ids[1]:
                bench.jobs.everything.execute(
                    "select pg_terminate_backend(%s)",
                    (context.tools.db.connection().info.backend_pid,),
                )
            return note(context)

        assert bench.drain(work(run)).stopped == "database"
        rows = [bench.jobs.row(job) for job in ids]
        assert [row["status"] for row in rows] == ["completed", "pending", "pending"]
        assert [row["attempts"] for row in rows] == [1, 0, 0]
        assert bench.notes() == [(ids[0], "done")]


class TestAwake:
    """Intake nudges only when no worker is awake, and no job is left between the two."""

    @staticmethod
    def awake(bench: Bench) -> bool:
        row = bench.jobs.app.execute(
            "select messaging.worker_awake(%s)", (bench.tools.clock.now,)
        ).fetchone()
        assert row is not None
        return bool(row[0])

    def test_a_worker_is_awake_while_it_works_and_not_after(self, bench: Bench) -> None:
        bench.jobs.put(bench.jobs.tenant())
        seen = [self.awake(bench)]

        def run(context: Context, _: AnyArgs) -> Effects:
            seen.append(self.awake(bench))
            return Effects()

        bench.drain(work(run))
        assert [*seen, self.awake(bench)] == [False, True, False]

    def test_a_mark_counts_for_one_second(self, bench: Bench) -> None:
        store.mark_worker(bench.jobs.app, uuid.uuid4(), now=START)
        assert self.awake(bench)
        bench.later(1.0)
        assert not self.awake(bench)

    def test_it_looks_once_more_after_its_mark_is_gone(self, bench: Bench) -> None:
        looks = []

        def look(turn: int) -> None:
            looks.append(self.awake(bench))
            if len(looks) == 2:
                bench.jobs.put(tenant)

        tenant = bench.jobs.tenant()
        bench.sends.then = look
        assert bench.drain(work(lambda context, _: note(context))) == Summary()
        # The job that came in the last look's sends, after its claim, had its own nudge.
        assert looks == [True, False]

    def test_a_job_that_counted_on_the_mark_and_commits_late_is_run(self, bench: Bench) -> None:
        tenant = bench.jobs.tenant()
        threads: list[threading.Thread] = []
        url = bench.jobs.database.superuser_url
        # On a machine with other work the thread needs longer to see that it is waited for.
        bench.jobs.everything.execute(
            "alter function messaging.await_intakes() set lock_timeout = '30s'"
        )
        bench.tools.db.connection().execute("set statement_timeout = '30s'")

        def intake(turn: int) -> None:
            if turn > 1:
                return
            connection = psycopg.connect(url)
            connection.execute(
                "insert into messaging.scheduled_jobs (tenant_id, job_type, scheduled_for)"
                " values (%s, 'work', %s)",
                (tenant, START),
            )
            row = connection.execute("select messaging.worker_awake(%s)", (START,)).fetchone()
            assert row == (True,)  # so intake does not nudge
            threads.append(threading.Thread(target=commit_when_awaited, args=(connection,)))
            threads[0].start()

        def commit_when_awaited(connection: psycopg.Connection[tuple[object, ...]]) -> None:
            deadline = time.monotonic() + 10
            with psycopg.connect(url, autocommit=True) as watcher:
                while time.monotonic() < deadline:
                    waiting = watcher.execute(
                        "select 1 from pg_locks where locktype = 'advisory' and not granted"
                    ).fetchone()
                    if waiting:
                        break
            connection.commit()
            connection.close()

        bench.sends.then = intake
        summary = bench.drain(work(lambda context, _: note(context)))
        threads[0].join()
        assert (summary.completed, bench.tools.nudges) == (1, 0)

    def test_it_does_not_wait_long_for_a_stuck_transaction_but_nudges(self, bench: Bench) -> None:
        with psycopg.connect(bench.jobs.database.superuser_url) as stuck:
            store.mark_worker(bench.jobs.app, uuid.uuid4(), now=START)
            stuck.execute("select messaging.worker_awake(%s)", (START,))
            assert bench.drain(work(lambda context, _: note(context))) == Summary()
        assert bench.tools.nudges == 1


class TestPeriodic:
    """One run per period, however many workers tick."""

    @staticmethod
    def periodic(context: Context, _: NoArgs) -> Effects:
        return note(context, "tick")

    def kinds(self) -> Kinds:
        return Kinds(JobKind(name="often", args=NoArgs, run=self.periodic, every_s=60))

    def test_eight_workers_run_a_period_once(self, bench: Bench) -> None:
        def one(_: int) -> Summary:
            with WorkerToolsOf(bench) as other:
                return other.drain(self.kinds())

        for _ in range(3):
            with ThreadPoolExecutor(8) as pool:
                summaries = list(pool.map(one, range(8)))
            assert sum(summary.ticked for summary in summaries) == 1
            bench.later(60)
        assert [text for _, text in bench.notes()] == ["tick"] * 3

    def test_periodic_work_belongs_to_the_system_tenant_and_goes_first(self, bench: Bench) -> None:
        bench.drain(self.kinds())
        (job,) = [job for job, _ in bench.notes()]
        row = bench.jobs.row(job)
        assert (row["tenant_id"], row["priority"]) == (str(uuid.UUID(int=0)), 0)


def test_only_what_is_written_beside_nothing_need_not_be_durable(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = bench.jobs.tenant()
    (plain,) = bench.jobs.put(tenant)
    (effects,) = bench.jobs.put(tenant)
    durable: dict[int, bool] = {}
    finish = store.finish

    def noted(connection: Any, token: Any, ended: Any, **more: Any) -> set[int]:
        ended = list(ended)
        durable.update({job.id: more.get("durable", True) for job in ended})
        return finish(connection, token, ended, **more)

    monkeypatch.setattr(store, "finish", noted)
    bench.drain(work(lambda c, _: note(c) if c.job_id == effects else Effects()))

    assert durable == {plain: False, effects: True}
