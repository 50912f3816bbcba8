"""`python -m local.simulator` as a process: its environment and its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.simulator_run import FIRST, SECRET, VERIFY_TOKEN, backend, wait_until

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def process(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The simulator with just these variables besides the PATH."""
    running = subprocess.Popen(
        [sys.executable, "-m", "local.simulator"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_missing_variables_are_named() -> None:
    with process({"WEBHOOK_URL": "http://127.0.0.1:9/webhook"}) as simulator:
        _, said = simulator.communicate(timeout=20)
    assert simulator.returncode == 2
    assert "META_APP_SECRET, META_VERIFY_TOKEN, SIMULATOR_NUMBERS" in said
    assert "WEBHOOK_URL" not in said


def test_numbers_that_cannot_be_read_are_explained() -> None:
    environment = {
        "WEBHOOK_URL": "http://127.0.0.1:9/webhook",
        "META_APP_SECRET": SECRET,
        "META_VERIFY_TOKEN": VERIFY_TOKEN,
        "SIMULATOR_NUMBERS": '[{"waba_id": "1"}]',
    }
    with process(environment) as simulator:
        _, said = simulator.communicate(timeout=20)
    assert simulator.returncode == 2
    assert "phone_number_id" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_it_greets_serves_and_stops_at_once_although_a_page_listens(
    tmp_path: Path, end: signal.Signals
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with backend() as receiver:
        environment = {
            "SIMULATOR_PORT": str(port),
            "LOCAL_DIR": str(tmp_path),
            "WEBHOOK_URL": receiver.url,
            "META_APP_SECRET": SECRET,
            "META_VERIFY_TOKEN": VERIFY_TOKEN,
            "SIMULATOR_NUMBERS": json.dumps([FIRST.model_dump()]),
        }
        with process(environment) as simulator:
            wait_until(lambda: answers(url), within=20)
            wait_until(lambda: receiver.handshakes)
            with (
                httpx.Client(trust_env=False) as http,
                http.stream("GET", f"{url}/simulator/events") as stream,
            ):
                next(stream.iter_lines())
                asked = time.monotonic()
                simulator.send_signal(end)
                _, said = simulator.communicate(timeout=10)
    assert time.monotonic() - asked < 4
    assert simulator.returncode == 0
    assert "Traceback" not in said
    assert (tmp_path / "simulator.sqlite3").exists()
