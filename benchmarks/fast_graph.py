"""A Graph API that costs next to nothing: what is measured is who asks it.

A raw asyncio protocol in a process of its own: it finds the end of a request, answers with a new
message id, and looks at nothing else. Prints its port.
"""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_NUMBERS = itertools.count(1)
_LENGTH = b"content-length: "


class _Protocol(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            head = self._buffer.find(b"\r\n\r\n")
            if head < 0:
                return
            at = self._buffer[:head].lower().find(_LENGTH) + len(_LENGTH)
            end = self._buffer.find(b"\r\n", at)
            whole = head + 4 + int(self._buffer[at:end])
            if len(self._buffer) < whole:
                return
            self._buffer = self._buffer[whole:]
            body = (
                b'{"messaging_product":"whatsapp","contacts":[{"input":"1","wa_id":"1"}],'
                b'"messages":[{"id":"wamid.BENCH%d"}]}' % next(_NUMBERS)
            )
            self._transport.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
                % (len(body), body)
            )


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Protocol, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def running() -> Iterator[str]:
    """Run it in a process of its own and yield its address."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.fast_graph"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


if __name__ == "__main__":
    asyncio.run(_serve())
