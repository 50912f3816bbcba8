"""One function: calls wait, workers are started as they are needed, limits are kept."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path

from local.guardian import Guardian
from local.lambdas.invocation import (
    QUEUE_SECONDS,
    SYNCHRONOUS_LIMIT,
    Invocation,
    PayloadTooLarge,
    Result,
    Throttled,
)
from local.lambdas.logs import FunctionLog
from local.lambdas.worker import Worker
from local.ports import listen
from local.template.model import REGION, FunctionSpec


class LambdaFunction:
    """Runs `spec` in up to `workers` processes at once, as many as calls ask for.

    No more run than the reserved concurrency, which 0 switches the function off with. Calls beyond
    the workers wait: AWS would have started more environments than a laptop can bear, so here a
    burst is slower rather than refused.
    `environment` is added to the template's (addresses of the other stand-ins).
    """

    def __init__(
        self,
        spec: FunctionSpec,
        *,
        workers: int,
        environment: dict[str, str],
        logs: Path,
        guardian: Guardian,
        freeze: bool = True,
        console: Callable[[str], None] = print,
    ) -> None:
        self.spec = spec
        self.log = FunctionLog(spec.code.name, logs, console)
        limit = workers
        if spec.reserved_concurrency is not None:
            limit = min(workers, spec.reserved_concurrency)
        self._pending: deque[Invocation] = deque()
        self._closed = False
        self.workers = [
            Worker(
                spec,
                listener=listen(),
                environment=worker_environment(spec) | environment,
                log=self.log,
                guardian=guardian,
                freeze=freeze,
                free=self._pump,
                gone=self._worker_gone,
            )
            for _ in range(limit)
        ]

    def warm_up(self) -> None:
        """Start one worker, so that the first call does not wait for it."""
        if self.workers and not self.workers[0].alive:
            self.workers[0].start()

    async def invoke(
        self,
        payload: bytes,
        *,
        client_context: str | None = None,
        wait_s: float = QUEUE_SECONDS,
    ) -> Result:
        """Run the handler on the JSON text `payload` and return how it ended.

        Raises Throttled when the function is switched off or no worker took the call within
        `wait_s` seconds, PayloadTooLarge over 6 MB.
        """
        if len(payload) > SYNCHRONOUS_LIMIT:
            raise PayloadTooLarge(
                f"the event has {len(payload)} bytes, {SYNCHRONOUS_LIMIT} at most"
            )
        if not self.workers:
            raise Throttled(f"{self.spec.name} is switched off: its reserved concurrency is 0")
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Result] = loop.create_future()
        invocation = Invocation(payload, result, client_context)
        self._pending.append(invocation)
        alarm = loop.call_later(wait_s, self._refuse, invocation, wait_s)
        try:
            self._pump()
            return await result
        finally:
            alarm.cancel()
            if invocation in self._pending:  # whoever asked has gone away
                self._pending.remove(invocation)

    async def stop(self) -> None:
        """End all workers; calls under way end with an error."""
        self._closed = True
        await asyncio.gather(*(worker.stop() for worker in self.workers))
        self.log.close()

    def _pump(self) -> None:
        """Give waiting calls to idle workers, and start workers for the rest."""
        for worker in self.workers:
            if self._pending and worker.idle:
                worker.give(self._pending.popleft())
        coming = sum(worker.coming for worker in self.workers)
        for worker in self.workers:
            if coming >= len(self._pending) or self._closed:
                return
            if not worker.alive:
                worker.start()
                coming += 1

    def _refuse(self, invocation: Invocation, waited_s: float) -> None:
        """End a call that still waits; one that runs has its function's own time limit."""
        if invocation in self._pending:
            self._pending.remove(invocation)
            name, workers = self.spec.name, len(self.workers)
            invocation.refuse(
                Throttled(f"all {workers} workers of {name} were busy for {waited_s:.0f} s")
            )

    def _worker_gone(self, init_error: Result | None) -> None:
        # A start that failed answers the call it was made for, else it would be tried for ever.
        if init_error is not None and self._pending:
            self._pending.popleft().end(init_error)
        self._pump()


def worker_environment(spec: FunctionSpec) -> dict[str, str]:
    """Return the environment that Lambda gives a handler's process."""
    search = [*spec.layers, spec.code]
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": os.pathsep.join(str(folder) for folder in search),
        "_HANDLER": spec.handler,
        "LAMBDA_TASK_ROOT": str(spec.code),
        "AWS_LAMBDA_FUNCTION_NAME": spec.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": spec.log_format,
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{spec.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info[0]}.{sys.version_info[1]}",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        **spec.environment,
    }
