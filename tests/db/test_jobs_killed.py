"""Two workers, killed at random: every job's effect once, lanes in order."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.databases import ClonedDatabase
from tests.db.jobs_at_hand import Jobs, opened
from tests.db.jobs_worker import Bench

ROOT = Path(__file__).parents[2]
SEED = int(os.environ.get("SEED", "1"))


@dataclass
class Worker:
    """One child and the pid that may be killed: its own process, no shell between."""

    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, url: str, seed: int) -> Worker:
        path = os.pathsep.join([str(ROOT), str(ROOT / "layers" / "common")])
        return cls(
            subprocess.Popen(
                [sys.executable, "-m", "tests.db.jobs_process", url, str(seed)],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": path},
                stdout=subprocess.DEVNULL,
            )
        )

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


def run(database: ClonedDatabase, *, count: int, lanes: int, kills: int, seconds: float) -> None:
    """Put `count` jobs in, kill two workers `kills` times on the way, and check the history."""
    chance = random.Random(SEED)
    with opened(database) as jobs:
        Bench(jobs)
        jobs.everything.execute("create table public.tries (job bigint, fails boolean)")
        jobs.everything.execute("grant insert on public.tries to app")
        tenants = [jobs.tenant() for _ in range(3)]
        for number in range(count):
            jobs.everything.execute(
                "insert into messaging.scheduled_jobs (tenant_id, job_type, lane) values"
                " (%s, 'work', %s)",
                (tenants[number % 3], str(number % lanes)),
            )
        # Early: two quick workers may be through before the last one is killed.
        marks = sorted(chance.sample(range(1, count // 2), kills))
        workers = [Worker.start(database.app_url, SEED * 1000 + n) for n in range(2)]
        killed = 0
        deadline = time.monotonic() + seconds
        try:
            while (done := jobs.count("completed")) < count:
                assert time.monotonic() < deadline, f"{done} of {count} after {seconds} s"
                if killed < kills and done >= marks[killed]:
                    victim = chance.randrange(2)
                    time.sleep(chance.uniform(0, 0.01))
                    workers[victim].kill()
                    killed += 1
                    workers[victim] = Worker.start(database.app_url, SEED * 1000 + 10 + killed)
                # Back-off would stretch the run: what waits for its delay is due now.
                jobs.everything.execute(
                    "update messaging.scheduled_jobs set scheduled_for = created_at where id in"
                    " (select id from messaging.scheduled_jobs where status = 'pending'"
                    " and scheduled_for > created_at for update skip locked)"
                )
                time.sleep(0.01)
        finally:
            for worker in workers:
                worker.kill()
        check(jobs, count)
        row = jobs.everything.execute(
            "select count(*) filter (where fails), count(*) - count(*) filter (where fails) - %s"
            " from public.tries",
            (count,),
        ).fetchone()
        assert row is not None
        print(f"seed {SEED}: {count} jobs, {kills} kills, {row[0]} failed tries, {row[1]} cut off")
        assert killed == kills
        assert row[1] > 0, "no run was ever cut off: nothing was tested"


def check(jobs: Jobs, count: int) -> None:
    history = jobs.everything.execute(
        "select e.job, j.tenant_id::text || j.lane from public.effects as e"
        " join messaging.scheduled_jobs as j on j.id = e.job and j.tenant_id = e.tenant_id"
        " order by e.at"
    ).fetchall()
    times = Counter(job for job, _ in history)
    assert len(times) == count
    assert max(times.values()) == 1
    newest: dict[str, int] = {}
    for job, lane in history:
        assert job > newest.get(lane, 0), f"lane {lane} out of order"
        newest[lane] = job


def test_killed_workers_lose_and_double_nothing(database: ClonedDatabase) -> None:
    run(database, count=300, lanes=20, kills=6, seconds=90)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_killed_workers_lose_and_double_nothing_at_full_size(database: ClonedDatabase) -> None:
    run(database, count=1000, lanes=50, kills=60, seconds=1200)
