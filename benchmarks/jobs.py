"""Figure c: claiming and finishing jobs against a bare SKIP LOCKED delete of as many rows.

Ours is what a worker does with jobs that have no effects: the claim's door and the finish's door as
the app role, each committed, batches of 100, ten tenants in turn, 7,500 lanes of two jobs, every
job kept with its result. The limit is a queue that can do nothing but hand out: one statement as
superuser that deletes a hundred rows and returns the same arguments. Each connection is a process
of its own; both drain 15,000 rows of a table filled, vacuumed and analysed a moment before.
"""

from __future__ import annotations

import multiprocessing
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.synchronize import Barrier
from typing import Any

import psycopg

from benchmarks.figures import Figure, ratio
from switchboard.store import jobs as store
from switchboard.store.jobs import Ended
from tests.databases import ClonedDatabase

JOBS, LANES, TENANTS, BATCH = 15_000, 7_500, 10, 100
ROUNDS = 7
#: Connections and the least ratio asked for (floors of the prototype's measurements).
FLOORS = {1: 0.25, 4: 0.2}

#: A lane's two jobs are 7,500 apart, as two messages of a busy hour are.
FILL = """
truncate messaging.scheduled_jobs;
insert into messaging.scheduled_jobs (tenant_id, job_type, priority, lane, args, scheduled_for)
select t.ids[1 + n %% %(lanes)s %% cardinality(t.ids)], 'work', 10,
    md5((n %% %(lanes)s)::text)::uuid::text,
    jsonb_build_object('conversation_id', md5((n %% %(lanes)s)::text)::uuid,
        'message_ids', jsonb_build_array(gen_random_uuid())),
    clock_timestamp() - interval '1 hour'
from generate_series(0, %(jobs)s - 1) as n
cross join (select array_agg(id) as ids from messaging.tenants where slug like 'bench-%%') as t
order by n;
truncate public.bare;
insert into public.bare (args) select args from messaging.scheduled_jobs order by id;
"""
#: As everybody writes it, and as the floors were measured. The same by ctid instead of id, which
#: few write, is about 1.6 times as quick.
BARE = """
delete from public.bare where id in (
    select id from public.bare where due_at <= clock_timestamp()
    order by due_at, id limit %s for update skip locked
) returning id, args
"""


@dataclass(frozen=True, slots=True)
class Drained:
    """What one connection drained, and between which readings of the machine's stopwatch."""

    count: int
    began: float
    ended: float


Turn = Callable[[psycopg.Connection[Any], int], int]


def ours(connection: psycopg.Connection[Any], limit: int) -> int:
    """Claim up to `limit` jobs, finish them, return how many."""
    token = uuid.uuid4()
    claimed = store.claim(
        connection,
        kinds={"work": 8},
        limit=limit,
        lease=timedelta(seconds=60),
        token=token,
        now=None,
    )
    if not claimed:
        return 0
    ended = [Ended(job.tenant_id, job.id, "completed", {"sent": 1}) for job in claimed]
    recorded = store.finish(connection, token, ended, now=None)
    assert len(recorded) == len(claimed)
    return len(recorded)


def bare(connection: psycopg.Connection[Any], limit: int) -> int:
    """Delete up to `limit` rows and return how many."""
    return len(connection.execute(BARE, (limit,)).fetchall())


def _drain(url: str, turn: Turn, start: Barrier, results: multiprocessing.Queue[Drained]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(8):  # plans are made and statements prepared before the clock runs
            turn(connection, 0)
        start.wait()
        began, count = time.monotonic(), 0
        while taken := turn(connection, BATCH):
            count += taken
        results.put(Drained(count, began, time.monotonic()))


def rate(url: str, turn: Turn, connections: int) -> float:
    """Return the rows per second at which that many processes drain the table together."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(connections)
    results: multiprocessing.Queue[Drained] = context.Queue()
    processes = [
        context.Process(target=_drain, args=(url, turn, start, results), daemon=True)
        for _ in range(connections)
    ]
    for process in processes:
        process.start()
    drained = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    assert sum(part.count for part in drained) == JOBS
    # The stopwatch is the machine's: every process reads the same one.
    return JOBS / (max(part.ended for part in drained) - min(part.began for part in drained))


def prepare(connection: psycopg.Connection[Any]) -> None:
    """Make the tenants and the bare queue: the least that a queue needs."""
    for number in range(TENANTS):
        connection.execute(
            "insert into messaging.tenants (slug, name) values (%s, 'Bench')", (f"bench-{number}",)
        )
    connection.execute(
        "create table public.bare (id bigint generated always as identity primary key,"
        " due_at timestamptz not null default clock_timestamp() - interval '1 hour',"
        " args jsonb not null)"
    )
    connection.execute("create index on public.bare (due_at, id)")


def fill(connection: psycopg.Connection[Any]) -> None:
    """Fill both queues with the same work."""
    parameters = {"jobs": JOBS, "lanes": LANES}
    for statement in FILL.split(";\n"):
        if statement.strip():
            connection.execute(statement, parameters if "%(" in statement else None)
    for statement in (
        "vacuum (analyze) messaging.scheduled_jobs",
        "vacuum (analyze) public.bare",
        "checkpoint",
    ):
        connection.execute(statement)


def run(database: ClonedDatabase) -> list[Figure]:
    """Return the figures: per number of connections the median of the rounds' ratios."""
    figures = []
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        prepare(connection)
        for connections, floor in FLOORS.items():
            our_rates, bare_rates = [], []
            for number in range(ROUNDS):
                fill(connection)
                # In turns first and second: who comes second has the warmer machine.
                for first in (number % 2 == 0, number % 2 == 1):
                    if first:
                        our_rates.append(rate(database.app_url, ours, connections))
                    else:
                        bare_rates.append(rate(database.superuser_url, bare, connections))
                print(
                    f"  jobs-{connections}c: {our_rates[-1]:,.0f}/s of {bare_rates[-1]:,.0f}/s",
                    flush=True,
                )
            value = ratio(our_rates, bare_rates)
            figures.append(Figure("c", f"jobs-{connections}c", value, floor))
    return figures
