"""A helper process that ends our children when we are gone, however we went (kill -9 included).

It reads lines `+ <pid> <signal>` and `- <pid>` from a pipe that only its parent holds open. When
the pipe ends, the parent is dead: every process still on the list gets its signal. This works on
every system, needs no cooperation of the children, and costs one small process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from types import TracebackType
from typing import TextIO


class Guardian:
    """The parent's side: `adopt` what must not outlive this process. A context manager."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            # Isolated and without site-packages: it starts in 15 ms and imports nothing of ours.
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def adopt(self, pid: int, number: signal.Signals = signal.SIGKILL) -> None:
        """Send `number` to the process group (or process) `pid` should this process die."""
        self._tell(f"+ {pid} {int(number)}\n")

    def release(self, pid: int) -> None:
        """Forget `pid`: it has ended, and its number may soon be another program's."""
        self._tell(f"- {pid}\n")

    def close(self) -> None:
        """End the helper; what is still adopted is ended with it."""
        stream = self._process.stdin
        assert stream is not None
        with contextlib.suppress(BrokenPipeError):
            stream.close()
        self._process.wait(timeout=10)

    def _tell(self, line: str) -> None:
        stream = self._process.stdin
        assert stream is not None
        # Unbuffered single writes: threads may call this, and lines this short never interleave.
        with contextlib.suppress(BrokenPipeError):
            os.write(stream.fileno(), line.encode())

    def __enter__(self) -> Guardian:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def watch(lines: TextIO) -> None:
    """Keep the list until the pipe ends, then signal what is left on it."""
    adopted: dict[int, int] = {}
    for line in lines:
        word, pid, *rest = line.split()
        if word == "+":
            adopted[int(pid)] = int(rest[0])
        else:
            adopted.pop(int(pid), None)
    for child, number in adopted.items():
        for send in (os.killpg, os.kill):
            try:
                send(child, number)
            except (ProcessLookupError, PermissionError):
                continue
            break


if __name__ == "__main__":
    # The terminal's Ctrl-C is for the parent, who ends us by closing the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watch(sys.stdin)
