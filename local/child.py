"""A program that runs beside the functions: started, watched, started again, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from local.faults import LocalError
from local.guardian import Guardian
from local.ports import HOST

_READY_SECONDS = 60.0
_STOP_SECONDS = 4.0
#: A program that lives shorter than this was not really running.
_SHORT_LIFE_SECONDS = 3.0
_SHORT_LIVES = 3


class Child:
    """One program; its output goes to `log`. It is ready when it accepts connections on `port`."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        port: int,
        environment: dict[str, str],
        folder: Path,
        log: Path,
        guardian: Guardian,
        say: Callable[[str], None],
        first_line: str = "",
    ) -> None:
        """`first_line` is written to its standard input, which stays open while it should live."""
        self._name = name
        self._command = command
        self._port = port
        self._environment = environment
        self._folder = folder
        self._log = log
        self._guardian = guardian
        self._say = say
        self._first_line = first_line
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it and wait until it is ready; raises LocalError with its last words."""
        await self._spawn()
        await self._wait_ready()

    def keep_alive(self, given_up: Callable[[LocalError], object]) -> None:
        """From now on start it again when it ends; `given_up` is told if that does not help."""

        async def keep() -> None:
            try:
                await self._keep()
            except LocalError as error:
                given_up(error)

        self._keeper = asyncio.create_task(keep())

    async def stop(self) -> None:
        """Ask it to end, and end it if it does not."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), _STOP_SECONDS)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        self._guardian.release(process.pid)

    async def _spawn(self) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as stream:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=stream,
                stderr=stream,
                cwd=self._folder,
                env=self._environment,
                start_new_session=True,
            )
        self._process = process
        self._guardian.adopt(process.pid)
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(self._first_line.encode())
            await process.stdin.drain()

    async def _wait_ready(self) -> None:
        process = self._process
        assert process is not None
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            if process.returncode is not None:
                raise LocalError(f"The part {self._name} does not start: {self._last_words()}")
            try:
                _, writer = await asyncio.open_connection(HOST, self._port)
            except OSError:
                await asyncio.sleep(0.03)
            else:
                writer.close()
                return
        raise LocalError(f"The part {self._name} did not answer in time (log: {self._log}).")

    async def _keep(self) -> None:
        short_lives = 0
        while True:
            process = self._process
            assert process is not None
            born = time.monotonic()
            code = await process.wait()
            self._guardian.release(process.pid)
            lived = time.monotonic() - born
            short_lives = short_lives + 1 if lived < _SHORT_LIFE_SECONDS else 0
            if short_lives >= _SHORT_LIVES:
                raise LocalError(f"The part {self._name} keeps ending: {self._last_words()}")
            self._say(f"the part {self._name} ended (code {code}); starting it again")
            await self._spawn()

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"{lines[-1] if lines else 'it said nothing'} (log: {self._log})"
