"""The whole system, running: `python -m local` on free ports, once per test session."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.guardian import Guardian
from tests.running_stack import RunningStack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep all system tests on one worker, so that one running stack serves them all."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("running local stack"))


@pytest.fixture(scope="session")
def stack_folder() -> Iterator[Path]:
    """A folder for runs; reachable for the user that Postgres may have to become."""
    folder = Path(tempfile.mkdtemp(prefix="switchboard-system-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def running_stack(stack_folder: Path, guardian: Guardian) -> Iterator[RunningStack]:
    """The run that all system tests share: its values, logs and process.

    Each test uses people and ids of its own and leaves the others' alone.
    """
    stack = RunningStack(stack_folder / "shared", guardian)
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture(scope="session")
def stack(running_stack: RunningStack) -> dict[str, str]:
    """The values of `.local/env`: API_URL, API_KEY, PHONE_NUMBER_ID, DATABASE_URL, …"""
    return running_stack.values
