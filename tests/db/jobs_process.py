"""A worker as a process of its own, to be killed: `python -m tests.db.jobs_process <url> <seed>`.

It drains again and again until it is killed. Each job takes a few milliseconds and leaves one row
in public.effects, each try of it one in public.tries; leases last a second, so that what a killed
worker held is soon back.
"""

from __future__ import annotations

import os
import random
import sys
import time

from switchboard import worker
from switchboard.jobs._kind import Context, Effects
from switchboard.kernel.settings import Settings
from switchboard.tools import Tools
from tests.db.jobs_worker import AnyArgs, NoSends, note, work

LEASE_S = 1.0


def main(url: str, seed: int) -> None:
    """Work until killed, or until whoever started it is gone."""
    parent = os.getppid()
    chance = random.Random(seed)
    worker.LEASE_S = LEASE_S
    tools = Tools(Settings(database_url=url))

    def run(context: Context, _: AnyArgs) -> Effects:
        fails = chance.random() < 0.05
        tools.db.connection().execute(
            "insert into public.tries (job, fails) values (%s, %s)", (context.job_id, fails)
        )
        time.sleep(chance.uniform(0, 0.004))
        if fails:
            raise RuntimeError("now and then a run fails")
        return note(context)

    kinds = work(run, max_attempts=10_000, needs_s=0.1)
    while os.getppid() == parent:
        worker.drain(tools, time.monotonic() + 60.0, kinds=kinds, sends=NoSends())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
