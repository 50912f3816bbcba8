"""All functions of the template: started, called by name at once or later, stopped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from local.guardian import Guardian
from local.lambdas.function import LambdaFunction
from local.lambdas.invocation import (
    ASYNCHRONOUS_LIMIT,
    PayloadTooLarge,
    Result,
    Throttled,
    UnknownFunction,
)
from local.lambdas.runtime_api import RuntimeApi
from local.serving import Server
from local.template.model import FunctionSpec


class Lambdas:
    """The functions by name. Asynchronous calls wait in memory: a stop forgets them."""

    def __init__(
        self,
        specs: Iterable[FunctionSpec],
        *,
        workers: int,
        environment: dict[str, str],
        logs: Path,
        guardian: Guardian,
        freeze: bool = True,
        console: Callable[[str], None] = print,
        first_retry_s: float = 60.0,
    ) -> None:
        """`first_retry_s`: Lambda waits one minute, then two, before it retries an event."""
        self._functions = {
            spec.name: LambdaFunction(
                spec,
                workers=workers,
                environment=environment,
                logs=logs,
                guardian=guardian,
                freeze=freeze,
                console=console,
            )
            for spec in specs
        }
        everyone = [worker for f in self._functions.values() for worker in f.workers]
        self._api = Server(RuntimeApi(everyone), [worker.listener for worker in everyone])
        self._first_retry_s = first_retry_s
        self._events: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open the Runtime API and start one worker of each function."""
        if any(function.workers for function in self._functions.values()):
            await self._api.begin()
        for function in self._functions.values():
            function.warm_up()

    async def stop(self) -> None:
        """End every worker and forget what was to be called later."""
        for task in self._events:
            task.cancel()
        await asyncio.gather(*self._events, return_exceptions=True)
        await asyncio.gather(*(function.stop() for function in self._functions.values()))
        await self._api.end()

    @property
    def waiting_events(self) -> int:
        """How many asynchronous calls are not done yet."""
        return len(self._events)

    def find(self, name: str) -> LambdaFunction:
        """Return the function of a name, ARN or partial ARN, with or without a qualifier.

        Raises UnknownFunction.
        """
        parts = name.split(":")
        bare = parts[parts.index("function") + 1] if "function" in parts else parts[0]
        if bare not in self._functions:
            raise UnknownFunction(f"Function not found: {name}")
        return self._functions[bare]

    async def invoke(
        self, name: str, payload: bytes, *, client_context: str | None = None
    ) -> Result:
        """Run the function and wait; raises UnknownFunction, Throttled or PayloadTooLarge."""
        return await self.find(name).invoke(payload, client_context=client_context)

    def invoke_later(self, name: str, payload: bytes) -> None:
        """Run the function in the background, with retries as its EventInvokeConfig says.

        Raises UnknownFunction or PayloadTooLarge.
        """
        function = self.find(name)
        if len(payload) > ASYNCHRONOUS_LIMIT:
            raise PayloadTooLarge(f"an asynchronous event has at most {ASYNCHRONOUS_LIMIT} bytes")
        task = asyncio.create_task(self._deliver(function, payload))
        self._events.add(task)
        task.add_done_callback(self._events.discard)

    async def _deliver(self, function: LambdaFunction, payload: bytes) -> None:
        spec = function.spec
        born = time.monotonic()
        failures, refusals = 0, 0
        while (left := born + spec.max_event_age_s - time.monotonic()) > 0:
            try:
                result = await function.invoke(payload, wait_s=left)
            except Throttled:
                # Lambda returns a throttled event to its queue, from one second up to 5 minutes.
                await asyncio.sleep(min(2.0**refusals, 300.0))
                refusals += 1
                continue
            if result.error is None:
                return
            failures += 1
            if failures > spec.retries:
                break
            await asyncio.sleep(self._first_retry_s * failures)
        function.log.note(f"an asynchronous event was given up ({failures} failures)")
