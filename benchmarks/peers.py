"""Other job queues on Postgres, run as their documentation says, on empty jobs.

    .venv-bench/bin/python benchmarks/peers.py prepare|fill|drain PEER URL NUMBER

A script of its own: its environment holds these queues alone (requirements-bench.txt).
`prepare` makes a queue's tables, `fill` leaves NUMBER waiting jobs and nothing else, `drain` works
until there are none, NUMBER claimed at once, and prints how many ran in how many seconds: from the
first job to the last, so neither the start nor what a worker does when nothing is left.
pgqueuer: `QueueManager.run` in drain mode over asyncpg on uvloop, as its command line has it.
procrastinate: `App.run_worker_async` over its psycopg pool of four. It fetches one job at a time,
runs NUMBER of them at once, and keeps finished jobs, as we do.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time

import asyncpg
import procrastinate
import psycopg
import uvloop
from pgqueuer import AsyncpgDriver, Job, Queries, QueueManager
from pgqueuer.types import QueueExecutionMode


class _Stopwatch:
    """The job itself: it does nothing but say when it ran."""

    def __init__(self) -> None:
        self.count = 0
        self.began = self.ended = 0.0

    def ran(self) -> None:
        self.ended = time.monotonic()
        self.began = self.began or self.ended
        self.count += 1


class PgQueuer:
    """pgqueuer: NUMBER is its batch size."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def prepare(self) -> None:
        connection = await asyncpg.connect(self._url)
        await Queries(AsyncpgDriver(connection)).install()
        await connection.close()

    async def fill(self, count: int) -> None:
        connection = await asyncpg.connect(self._url)
        await connection.execute("truncate pgqueuer, pgqueuer_log, pgqueuer_statistics")
        await Queries(AsyncpgDriver(connection)).enqueue(
            ["work"] * count, [None] * count, [0] * count
        )
        await connection.close()
        tidy(self._url, "pgqueuer", "pgqueuer_log")

    async def drain(self, batch: int, stopwatch: _Stopwatch) -> None:
        connection = await asyncpg.connect(self._url)
        manager = QueueManager(Queries(AsyncpgDriver(connection)))

        async def work(_job: Job) -> None:
            stopwatch.ran()

        manager.entrypoint("work")(work)
        await manager.run(batch_size=batch, mode=QueueExecutionMode.drain)
        await connection.close()


class Procrastinate:
    """procrastinate: NUMBER is how many jobs run at the same time."""

    def __init__(self, url: str) -> None:
        self._app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))
        self._url = url

    async def prepare(self) -> None:
        async with self._app.open_async():
            await self._app.schema_manager.apply_schema_async()

    async def fill(self, count: int) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute("truncate procrastinate_jobs, procrastinate_events cascade")
        async with self._app.open_async():
            await self._app.configure_task("work").batch_defer_async(*({} for _ in range(count)))
        tidy(self._url, "procrastinate_jobs", "procrastinate_events")

    async def drain(self, places: int, stopwatch: _Stopwatch) -> None:
        async def work() -> None:
            stopwatch.ran()

        self._app.task(name="work")(work)
        async with self._app.open_async():
            await self._app.run_worker_async(
                wait=False, concurrency=places, install_signal_handlers=False
            )


PEERS: dict[str, type[PgQueuer | Procrastinate]] = {
    "pgqueuer": PgQueuer,
    "procrastinate": Procrastinate,
}


def tidy(url: str, *tables: str) -> None:
    """Vacuum and analyse, as our own table is before each round."""
    with psycopg.connect(url, autocommit=True) as connection:
        for table in tables:
            connection.execute(f"vacuum (analyze) {table}".encode())
        connection.execute("checkpoint")


def main() -> None:
    """Do what is asked for; `drain` prints how many jobs ran and in how many seconds."""
    # It warns of apps that live in a script; this one is gone with it.
    logging.getLogger("procrastinate").setLevel(logging.ERROR)
    verb, name, url, number = sys.argv[1:]
    peer = PEERS[name](url)
    if verb == "prepare":
        asyncio.run(peer.prepare())
    elif verb == "fill":
        asyncio.run(peer.fill(int(number)))
    else:
        stopwatch = _Stopwatch()
        run = uvloop.run if name == "pgqueuer" else asyncio.run
        run(peer.drain(int(number), stopwatch))
        print(stopwatch.count, stopwatch.ended - stopwatch.began)


if __name__ == "__main__":
    main()
