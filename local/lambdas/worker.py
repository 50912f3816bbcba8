"""One execution environment: a process that runs a handler under awslambdaric, call by call.

Between calls the process is stopped (SIGSTOP), as Lambda freezes its environments: what a handler
leaves to a background thread does not run here either, and connections grow old unnoticed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from local.guardian import Guardian
from local.lambdas.invocation import Invocation, Result, failure
from local.lambdas.logs import FunctionLog
from local.template.model import FunctionSpec

#: Lambda allows 10 s for the start of an environment; a busy laptop may need more.
INIT_SECONDS = 30.0


class Worker:
    """A slot for one process of `spec`'s handler; the process comes and goes, the port stays.

    The worker's Runtime API listens on `listener`; by that port the process is told apart.
    `free` is called when the worker can take a call, `gone` when its process has ended.
    """

    def __init__(
        self,
        spec: FunctionSpec,
        *,
        listener: socket.socket,
        environment: dict[str, str],
        log: FunctionLog,
        guardian: Guardian,
        freeze: bool,
        free: Callable[[], None],
        gone: Callable[[Result | None], None],
    ) -> None:
        self.spec = spec
        self.listener = listener
        self.port: int = listener.getsockname()[1]
        self.ready = False
        self._environment = environment
        self._log = log
        self._guardian = guardian
        self._freeze = freeze
        self._free = free
        self._gone = gone
        self._process: asyncio.subprocess.Process | None = None
        self._starting = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: asyncio.Future[Invocation] | None = None
        self._current: Invocation | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._init_error: Result | None = None

    @property
    def alive(self) -> bool:
        """Whether the slot has a process, or is about to."""
        return self._process is not None or self._starting

    @property
    def idle(self) -> bool:
        """Whether the process waits for a call."""
        return self._waiting is not None

    @property
    def coming(self) -> bool:
        """Whether the process will soon wait for a call: it starts, or has just answered."""
        return self.alive and self._waiting is None and self._current is None

    def start(self) -> None:
        """Start the process in the background."""
        self._starting = True
        self._spawn_task(self._run())

    def give(self, invocation: Invocation) -> None:
        """Hand a call to the idle process; its time starts now."""
        waiting, self._waiting = self._waiting, None
        assert waiting is not None
        self._current = invocation
        self._set_alarm(self.spec.timeout_s, self._time_out)
        self._signal(signal.SIGCONT)
        waiting.set_result(invocation)

    async def next(self) -> Invocation:
        """Wait for the next call (the process asks); cancelled when the process ends."""
        self._set_alarm(None)
        self.ready = True
        waiting: asyncio.Future[Invocation] = asyncio.get_running_loop().create_future()
        self._waiting = waiting
        self._free()
        if not waiting.done() and self._freeze:
            self._signal(signal.SIGSTOP)
        return await waiting

    def answer(self, request_id: str, result: Result) -> bool:
        """Take the process's answer to call `request_id`; False if that is not its call."""
        current = self._current
        if current is None or current.id != request_id:
            return False
        self._current = None
        self._set_alarm(None)
        current.end(result)
        return True

    def fail_init(self, result: Result) -> None:
        """Take the process's report that its handler could not be loaded."""
        self._init_error = result

    def kill(self) -> None:
        """End the process at once, whatever it does."""
        self._signal(signal.SIGKILL)

    async def stop(self) -> None:
        """End the process and wait until it is gone."""
        self.kill()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "awslambdaric", self.spec.handler),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self.spec.code,
            env=self._environment | {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.port}"},
            start_new_session=True,
        )
        self._process, self._starting = process, False
        self._guardian.adopt(process.pid)
        self._set_alarm(INIT_SECONDS, self._init_time_out)
        try:
            assert process.stdout is not None
            await self._read_output(process.stdout)
            code = await process.wait()
        finally:
            self._guardian.release(process.pid)
        self._ended(code)

    async def _read_output(self, stream: asyncio.StreamReader) -> None:
        rest = b""
        # Not readline: it refuses lines over 64 KiB, and a handler may log a whole body.
        while chunk := await stream.read(65_536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._log.feed(line.decode("utf-8", "replace"))
        if rest:
            self._log.feed(rest.decode("utf-8", "replace"))

    def _ended(self, code: int) -> None:
        how = f"signal: {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        current, waiting, init_error = self._current, self._waiting, self._init_error
        if not self.ready and init_error is None:
            init_error = failure("Runtime.ExitError", f"Runtime exited during its start: {how}")
        self._process = self._current = self._waiting = self._init_error = None
        was_ready, self.ready = self.ready, False
        self._set_alarm(None)
        if waiting is not None:
            waiting.cancel()
        if current is not None:
            self._log.note(f"request {current.id} lost its process: {how}")
            current.end(
                failure(
                    "Runtime.ExitError",
                    f"RequestId: {current.id} Error: Runtime exited with error: {how}",
                )
            )
        self._gone(None if was_ready else init_error)

    def _time_out(self) -> None:
        current, self._current = self._current, None
        if current is not None:
            text = f"Task timed out after {self.spec.timeout_s:.2f} seconds"
            self._log.note(f"request {current.id}: {text}")
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
            current.end(failure("Sandbox.Timedout", f"{stamp} {current.id} {text}"))
        self.kill()

    def _init_time_out(self) -> None:
        self._log.note(f"the handler was not ready after {INIT_SECONDS:.0f} s")
        self.fail_init(failure("Sandbox.Timedout", "the function did not start in time"))
        self.kill()

    def _set_alarm(self, seconds: float | None, then: Callable[[], None] | None = None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if seconds is not None and then is not None:
            self._alarm = asyncio.get_running_loop().call_later(seconds, then)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _spawn_task(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
