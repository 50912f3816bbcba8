"""Figure f: whole workers on empty jobs, against plain SQL that does the same; and held up.

jobs-run: `worker.drain` claims a hundred, runs a kind that does nothing, finishes them, with lanes
and kept results as in figure c. The limit is two statements as superuser on a table of its own:
claim by SKIP LOCKED, the oldest of each lane, its running guard, and finish with a result: no
tenants, no priorities, no leases, no Python per job. Each connection is a process of its own; both
drain 15,000 jobs of 7,500 lanes, filled, vacuumed and analysed a moment before.
jobs-procrastinate, jobs-pgqueuer: the same drain by one worker against theirs (benchmarks/peers.py)
on jobs that do nothing, too, and have no lanes; at the same batch size where they have one.
jobs-held: claims and finishes of one connection, as in figure c, while a transaction that has a
snapshot stays open, against the same in a database beside it that has none. `HELD_S` seconds of
work go through first: what vacuum may not take away piles up.
"""

from __future__ import annotations

import multiprocessing
import subprocess
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.figures import Figure, ratio
from benchmarks.jobs import BATCH, JOBS, Drained, fill, prepare
from benchmarks.jobs import ours as doors
from switchboard import worker
from switchboard.jobs._kind import Args, Context, Effects, JobKind
from switchboard.kernel.log import log
from switchboard.kernel.settings import Settings
from switchboard.tools import Tools
from tests.databases import TEMPLATE, ClonedDatabase, cloned
from tests.db.jobs_worker import Kinds, NoSends

ROUNDS, HELD_ROUNDS, HELD_S = 7, 3, 60.0
#: A round of the held figure in seconds, and jobs put in before each.
WINDOW_S, WINDOW_JOBS = 5.0, 100_000
#: Connections and the least ratio asked for.
FLOORS = {1: 0.25, 4: 0.2}
HELD_FLOOR = 0.5
PEER_ROUNDS = 5
#: Of each other queue: our batch sizes, its own number (None: the same), its jobs, the least ratio.
#: procrastinate has no batches: ours is the product's, and it runs ten jobs at a time.
PEERS = {
    "procrastinate": ((worker.BATCH,), 10, 500, 10.0),
    "pgqueuer": ((10, 100), None, JOBS, 1.0),
}
ROOT = Path(__file__).parent.parent

PLAIN = """
create table public.plain (
    id bigint generated always as identity primary key,
    status text not null default 'pending', lane text, args jsonb not null, result jsonb,
    due_at timestamptz not null default clock_timestamp() - interval '1 hour'
) with (fillfactor = 70);
create index plain_due on public.plain (due_at, id) where status = 'pending';
create index plain_lane on public.plain (lane, id) where status = 'pending';
create unique index plain_running on public.plain (lane) where status = 'running'
"""
FILL_PLAIN = """
truncate public.plain;
insert into public.plain (lane, args)
select lane, args from messaging.scheduled_jobs order by id
"""
CLAIM = """
with chosen as materialized (
    select id from public.plain as j
    where status = 'pending' and due_at <= clock_timestamp()
        and not exists (select from public.plain as older
            where older.status = 'pending' and older.lane = j.lane and older.id < j.id)
        and not exists (select from public.plain as current
            where current.status = 'running' and current.lane = j.lane)
    order by due_at, id limit %s for update skip locked
)
update public.plain as j set status = 'running' from chosen where j.id = chosen.id
returning j.id, j.args
"""
FINISH = """
update public.plain set status = 'completed', result = '{"sent": 1}' where id = any (%s)
"""

Drain = Callable[[str], int]


class _Empty(Args):
    """The arguments of the jobs that figure c fills in; nothing reads them."""


def _run(_context: Context, _args: _Empty) -> Effects:
    return Effects(result={"sent": 1})


def ours(url: str) -> int:
    """Work until nothing is due, as one invocation of process_jobs; return how many ran."""
    kinds = Kinds(JobKind(name="work", args=_Empty, run=_run))
    tools = Tools(Settings(database_url=url))
    with log.quiet():
        return worker.drain(tools, time.monotonic() + 600.0, kinds=kinds, sends=NoSends()).completed


def plain(url: str) -> int:
    """Drain the plain table; return how many."""
    count = 0
    with psycopg.connect(url, autocommit=True) as connection:
        while True:
            try:
                claimed = connection.execute(CLAIM, (BATCH,)).fetchall()
            except psycopg.errors.UniqueViolation:
                continue  # another one took the lane first
            if not claimed:
                return count
            connection.execute(FINISH, ([row[0] for row in claimed],))
            count += len(claimed)


def _drain(
    url: str, drain: Drain, batch: int, start: Barrier, results: multiprocessing.Queue[Drained]
) -> None:
    worker.BATCH = batch
    start.wait()
    began = time.monotonic()
    count = drain(url)
    results.put(Drained(count, began, time.monotonic()))


def rate(url: str, drain: Drain, connections: int, batch: int = BATCH) -> float:
    """Return the jobs per second that so many processes get done together."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(connections)
    results: multiprocessing.Queue[Drained] = context.Queue()
    processes = [
        context.Process(target=_drain, args=(url, drain, batch, start, results), daemon=True)
        for _ in range(connections)
    ]
    for process in processes:
        process.start()
    drained = [results.get(timeout=600) for _ in processes]
    for process in processes:
        process.join()
    # A worker that comes to its end while others still hold lanes leaves them the rest.
    assert sum(part.count for part in drained) == JOBS
    return JOBS / (max(part.ended for part in drained) - min(part.began for part in drained))


def _fill(connection: psycopg.Connection[Any]) -> None:
    fill(connection)
    for statement in FILL_PLAIN.split(";\n"):
        connection.execute(statement.encode())
    connection.execute("vacuum (analyze) public.plain")


def _compare(database: ClonedDatabase, link: psycopg.Connection[Any]) -> list[Figure]:
    figures = []
    for connections, floor in FLOORS.items():
        our_rates, plain_rates = [], []
        for number in range(ROUNDS):
            _fill(link)
            # In turns first and second: who comes second has the warmer machine.
            for first in (number % 2 == 0, number % 2 == 1):
                if first:
                    our_rates.append(rate(database.app_url, ours, connections))
                else:
                    plain_rates.append(rate(database.superuser_url, plain, connections))
            print(
                f"  jobs-run-{connections}c: {our_rates[-1]:,.0f}/s of {plain_rates[-1]:,.0f}/s",
                flush=True,
            )
        figures.append(
            Figure("f", f"jobs-run-{connections}c", ratio(our_rates, plain_rates), floor)
        )
    return figures


def _add(link: psycopg.Connection[Any]) -> None:
    """Put in more jobs than a window can take, beside those that are done."""
    link.execute(
        "insert into messaging.scheduled_jobs"
        " (tenant_id, job_type, priority, lane, args, scheduled_for)"
        " select t.ids[1 + n %% cardinality(t.ids)], 'work', 10, gen_random_uuid()::text, '{}',"
        " clock_timestamp() from generate_series(1, %s) as n cross join"
        " (select array_agg(id) as ids from messaging.tenants where slug like 'bench-%%') as t"
        " order by n",
        (WINDOW_JOBS,),
    )


def _window(url: str, seconds: float) -> float:
    """Return the jobs per second that one connection gets through in that time."""
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(8):  # plans are made and statements prepared before the clock runs
            doors(connection, 0)
        began, count = time.monotonic(), 0
        while time.monotonic() < began + seconds:
            taken = doors(connection, BATCH)
            if not taken:
                break
            count += taken
        return count / (time.monotonic() - began)


def hold(database: ClonedDatabase) -> list[Figure]:
    """Return the figure of a transaction that is held open."""
    free_rates, held_rates = [], []
    with (
        cloned(database.server, TEMPLATE) as beside,
        psycopg.connect(database.superuser_url, autocommit=True) as link,
        psycopg.connect(beside.superuser_url, autocommit=True) as free,
    ):
        for queue, url in ((link, database.app_url), (free, beside.app_url)):
            prepare(queue)
            _add(queue)
            queue.execute("vacuum (analyze) messaging.scheduled_jobs")
            _window(url, WINDOW_S)
        with psycopg.connect(database.superuser_url) as held:
            held.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            held.execute("select txid_current(), count(*) from messaging.scheduled_jobs")
            end = time.monotonic() + HELD_S
            while (left := end - time.monotonic()) > 0:
                _add(link)
                _window(database.app_url, min(left, WINDOW_S))
            for number in range(HELD_ROUNDS):
                for queue in (link, free):
                    _add(queue)
                    queue.execute("vacuum (analyze) messaging.scheduled_jobs")
                for first in (number % 2 == 0, number % 2 == 1):
                    if first:
                        held_rates.append(_window(database.app_url, WINDOW_S))
                    else:
                        free_rates.append(_window(beside.app_url, WINDOW_S))
                print(
                    f"  jobs-held: {held_rates[-1]:,.0f}/s of {free_rates[-1]:,.0f}/s", flush=True
                )
            held.rollback()
    return [Figure("f", "jobs-held", ratio(held_rates, free_rates), HELD_FLOOR)]


def _peer(verb: str, name: str, url: str, number: int = 0) -> str:
    """Run benchmarks/peers.py in its own environment and return what it prints."""
    return subprocess.run(
        [".venv-bench/bin/python", "benchmarks/peers.py", verb, name, url, str(number)],
        check=True,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


def _peer_rate(name: str, url: str, number: int, jobs: int) -> float:
    """Return the jobs per second that one worker of another queue gets done."""
    _peer("fill", name, url, jobs)
    count, seconds = _peer("drain", name, url, number).split()
    assert int(count) == jobs
    return jobs / float(seconds)


def _compare_peers(database: ClonedDatabase, link: psycopg.Connection[Any]) -> list[Figure]:
    subprocess.run(
        ["sh", "local/environment.sh", ".venv-bench", "requirements-bench.txt"],
        check=True,
        cwd=ROOT,
    )
    figures = []
    for name, (batches, places, jobs, floor) in PEERS.items():
        _peer("prepare", name, database.superuser_url)
        for batch in batches:
            figure = f"jobs-{name}" if len(batches) == 1 else f"jobs-{name}-{batch}"
            our_rates, their_rates = [], []
            for number in range(PEER_ROUNDS):
                _fill(link)
                for first in (number % 2 == 0, number % 2 == 1):
                    if first:
                        our_rates.append(rate(database.app_url, ours, 1, batch))
                    else:
                        their_rates.append(
                            _peer_rate(name, database.superuser_url, places or batch, jobs)
                        )
                print(f"  {figure}: {our_rates[-1]:,.0f}/s to {their_rates[-1]:,.0f}/s", flush=True)
            figures.append(Figure("f", figure, ratio(our_rates, their_rates), floor))
    return figures


def run(database: ClonedDatabase) -> list[Figure]:
    """Return the figures, each the median of its rounds' ratios."""
    with psycopg.connect(database.superuser_url, autocommit=True) as link:
        prepare(link)
        for statement in PLAIN.split(";\n"):
            link.execute(statement.encode())
        return [*_compare(database, link), *_compare_peers(database, link)]
