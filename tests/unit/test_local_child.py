"""A program beside the functions is started again when it ends, and given up when that is vain."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local.child import Child
from local.faults import LocalError
from local.guardian import Guardian
from local.ports import free_port

LISTENS = """
import os, socket, sys
print("pid", os.getpid(), sys.stdin.readline().strip(), flush=True)
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    sys.stdin.read()
"""
DEAF = """
import signal, socket, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("pid", __import__("os").getpid(), flush=True)
time.sleep(600)
"""
FAILS = "raise SystemExit('no disk left')"


def _child(folder: Path, guardian: Guardian, program: str, said: list[str]) -> Child:
    port = free_port()
    return Child(
        "part",
        [sys.executable, "-c", program, str(port)],
        port=port,
        environment={},
        folder=folder,
        log=folder / "part.log",
        guardian=guardian,
        say=said.append,
        first_line="first line\n",
    )


def _pids(folder: Path) -> list[int]:
    lines = (folder / "part.log").read_text().splitlines()
    return [int(line.split()[1]) for line in lines if line.startswith("pid")]


async def _until(true: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.02)


def test_it_is_started_again_with_its_first_line(tmp_path: Path, guardian: Guardian) -> None:
    async def check() -> None:
        said: list[str] = []
        child = _child(tmp_path, guardian, LISTENS, said)
        await child.start()
        child.keep_alive(lambda _: None)
        os.kill(_pids(tmp_path)[0], 9)
        await _until(lambda: len(_pids(tmp_path)) == 2)
        await child.stop()
        assert said == ["the part part ended (code -9); starting it again"]
        assert (tmp_path / "part.log").read_text().count("first line") == 2
        with pytest.raises(ProcessLookupError):
            os.kill(_pids(tmp_path)[1], 0)

    asyncio.run(check())


def test_one_that_keeps_ending_is_given_up_with_its_last_words(
    tmp_path: Path, guardian: Guardian
) -> None:
    async def check() -> None:
        child = _child(tmp_path, guardian, LISTENS, [])
        await child.start()
        given_up: asyncio.Future[LocalError] = asyncio.get_running_loop().create_future()
        child.keep_alive(given_up.set_result)
        for count in range(1, 4):
            await _until(lambda count=count: len(_pids(tmp_path)) == count)  # type: ignore[misc]
            os.kill(_pids(tmp_path)[-1], 9)
        error = await asyncio.wait_for(given_up, 10)
        assert "keeps ending: pid" in str(error)
        await child.stop()

    asyncio.run(check())


def test_one_that_does_not_start_is_told_with_its_last_words(
    tmp_path: Path, guardian: Guardian
) -> None:
    async def check() -> None:
        child = _child(tmp_path, guardian, FAILS, [])
        with pytest.raises(LocalError, match="does not start: no disk left"):
            await child.start()
        await child.stop()

    asyncio.run(check())


def test_one_that_ignores_sigterm_is_ended_all_the_same(
    tmp_path: Path, guardian: Guardian, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.child._STOP_SECONDS", 0.3)

    async def check() -> None:
        child = _child(tmp_path, guardian, DEAF, [])
        await child.start()
        await child.stop()
        with pytest.raises(ProcessLookupError):
            os.kill(_pids(tmp_path)[0], 0)

    asyncio.run(check())
