"""Runs several uvicorn servers inside one event loop, on sockets that are already open."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence
from typing import Any

import uvicorn


class Server(uvicorn.Server):
    """A uvicorn server that leaves signals to its surroundings; `begin` and `end` frame it."""

    def __init__(self, app: Any, sockets: Sequence[socket.socket]) -> None:
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            # A runtime client keeps its connection while a handler works for minutes.
            timeout_keep_alive=3600,
            timeout_graceful_shutdown=1,
            server_header=False,
        )
        super().__init__(config)
        self._sockets = list(sockets)
        self._task: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: Ctrl-C and SIGTERM belong to the whole run."""
        yield

    async def begin(self) -> None:
        """Serve in the background; returns when connections are accepted."""
        self._task = asyncio.create_task(self.serve(self._sockets))
        while not self.started:
            if self._task.done():
                self._task.result()
                raise RuntimeError("the server ended before it began")
            await asyncio.sleep(0.005)

    async def end(self) -> None:
        """Stop serving and close the sockets."""
        self.should_exit = True
        if self._task is not None:
            await self._task
