"""`python -m local` (make run): the whole system in the foreground until Ctrl-C or SIGTERM.

Exit codes: 0 stopped, 1 something it needs is missing or broken, told in one sentence.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from local.banner import banner
from local.faults import LocalError
from local.guardian import Guardian
from local.run import LocalRun
from local.settings import LocalSettings, read_settings


def main() -> int:
    """Run until a signal and return the exit code."""
    try:
        settings = read_settings()
        with Guardian() as guardian:
            asyncio.run(_run(settings, guardian))
    except LocalError as error:
        print(f"\n{error}", file=sys.stderr, flush=True)
        return 1
    return 0


async def _run(settings: LocalSettings, guardian: Guardian) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    run = LocalRun(settings, guardian)
    starting = asyncio.create_task(run.start())
    try:
        # Ctrl-C also ends a start that is under way.
        waiting = asyncio.create_task(stopping.wait())
        await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            print(banner(starting.result(), str(settings.folder)), flush=True)
            await run.wait(stopping)
        run.say("stopping")
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await run.stop()


if __name__ == "__main__":
    sys.exit(main())
