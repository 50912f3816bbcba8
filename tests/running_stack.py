"""`python -m local` as a process of its own, on free ports and a folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from local.guardian import Guardian
from local.ports import free_port

ROOT = Path(__file__).parent.parent
START_SECONDS = 90.0


class RunningStack:
    """The local run on `folder`. `values` is what `.local/env` says while it is ready."""

    def __init__(self, folder: Path, guardian: Guardian, **environment: str) -> None:
        self.folder = folder
        self.values: dict[str, str] = {}
        self.output = folder.with_name(f"{folder.name}.out")
        self._guardian = guardian
        self._environment = {
            "LOCAL_DIR": str(folder),
            "PORT": str(free_port()),
            "SIMULATOR_PORT": str(free_port()),
        } | environment

    def launch(self) -> None:
        """Start the process, without waiting for more."""
        (self.folder / "env").unlink(missing_ok=True)
        with self.output.open("ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "local"],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                cwd=ROOT,
                env=os.environ | self._environment,
                start_new_session=True,
            )
        self._guardian.adopt(self.process.pid, signal.SIGTERM)

    def start(self) -> dict[str, str]:
        """Start it and wait until it is ready; returns its values."""
        self.launch()
        deadline = time.monotonic() + START_SECONDS
        file = self.folder / "env"
        while not file.exists():
            assert self.process.poll() is None, f"it ended:\n{self.told()}"
            assert time.monotonic() < deadline, f"not ready in time:\n{self.told()}"
            time.sleep(0.05)
        lines = file.read_text(encoding="utf-8").splitlines()
        self.values = dict(line.split("=", 1) for line in lines)
        return self.values

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal, wait, and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(30)
        self._guardian.release(self.process.pid)
        return code

    def told(self) -> str:
        """Return what it has printed so far."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def log(self, name: str) -> str:
        """Return the log of a function (`webhook`) or part (`postgres`, `simulator`, `aws`)."""
        path = self.folder / "logs" / f"{name}.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def postgres_pid(self) -> int:
        """Return the process id of its Postgres, from the data folder's own file."""
        return int((self.folder / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])

    def kill_postgres(self) -> None:
        """End its Postgres as `kill -9` does, once there is one; the run starts it again."""
        deadline = time.monotonic() + 20
        while True:
            try:
                return os.kill(self.postgres_pid(), signal.SIGKILL)
            except (FileNotFoundError, ValueError, ProcessLookupError):
                # The one before was killed a moment ago, and the next is not up yet.
                assert time.monotonic() < deadline, f"no Postgres to kill:\n{self.told()}"
                time.sleep(0.05)
