"""Fixtures of all suites: Postgres, a tenant's desk, the command line, the simulator, a browser.

`database` is what nearly every test wants: a migrated database of its own. The server below it is
started when first asked for, one per test worker, and gone with the run (even one that is killed).
"""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from local.guardian import Guardian
from local.postgres import PostgresServer
from tests.databases import ClonedDatabase, Spares, cloned, make_template

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.commanding import CommandLine
    from tests.managing import Desk
    from tests.simulator_run import Simulator

# The suite says the same of the same code every time; fresh examples are a fuzzer's business.
settings.register_profile("suite", derandomize=True, database=None, deadline=None)
settings.register_profile("fuzz", database=None, deadline=None, print_blob=True)
settings.load_profile("fuzz" if "FUZZ" in os.environ else "suite")


def pytest_collection_finish() -> None:
    """Leave what was collected to nobody: thousands of tests would be walked again and again."""
    gc.collect()
    gc.freeze()


_PREFIX = "switchboard-test-"
#: Bytes that a worker's databases may need.
_ROOM = 2 * 1024**3


@pytest.fixture(scope="session")
def guardian() -> Iterator[Guardian]:
    """What it adopts does not outlive the test run, however that ends."""
    with Guardian() as guardian:
        yield guardian


@pytest.fixture(scope="session")
def postgres(guardian: Guardian) -> Iterator[PostgresServer]:
    """The worker's Postgres, quick because it may lose data in a crash: trusts this machine."""
    yield from _server(guardian, durable=False)


@pytest.fixture(scope="session")
def durable_postgres(guardian: Guardian) -> Iterator[PostgresServer]:
    """A second Postgres that keeps what it has committed: for tests that `kill()` it.

    Whoever kills it calls `start()` again, or `watch()` once so that it comes back by itself.
    """
    yield from _server(guardian, durable=True)


@pytest.fixture(scope="session")
def template(postgres: PostgresServer) -> str:
    """Name of the migrated database on `postgres` that every test's own is copied from."""
    return make_template(postgres)


@pytest.fixture(scope="session")
def durable_template(durable_postgres: PostgresServer) -> str:
    """The same on `durable_postgres`."""
    return make_template(durable_postgres)


@pytest.fixture(scope="session")
def spares(postgres: PostgresServer, template: str) -> Iterator[Spares]:
    """The worker's databases, used again where a test leaves nothing behind."""
    with closing(Spares(postgres, template)) as spares:
        yield spares


@pytest.fixture
def database(spares: Spares) -> Iterator[ClonedDatabase]:
    """A migrated database of the test's own, with URLs of app, owner and superuser."""
    with spares.database() as database:
        yield database


@pytest.fixture
def new_database(postgres: PostgresServer, template: str) -> Iterator[ClonedDatabase]:
    """As `database`, but never used before: for who counts what Postgres counts of a database."""
    with cloned(postgres, template) as database:
        yield database


@pytest.fixture
def empty_database(postgres: PostgresServer) -> Iterator[ClonedDatabase]:
    """A database without tables, owned by `owner`: for tests of the migrations themselves.

    Roles belong to the server: `door` and `app` may exist here from another test's migrations.
    """
    with cloned(postgres) as database:
        yield database


@pytest.fixture
def durable_database(
    durable_postgres: PostgresServer, durable_template: str
) -> Iterator[ClonedDatabase]:
    """As `database`, on the server that may be killed."""
    with cloned(durable_postgres, durable_template) as database:
        yield database


@pytest.fixture
def desk(database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A tenant's desk: what staff ask of /v1, with people who write."""
    # Imported here: most suites need none of it.
    from tests.managing import desk_of

    with desk_of(database, monkeypatch) as desk:
        yield desk


@pytest.fixture
def call(
    database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> CommandLine:
    """What runs a command line against the test's database."""
    from tests.commanding import command_line

    return command_line(database, monkeypatch, capfd)


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    """The simulator and a receiver of its webhooks, both listening, for a whole file."""
    from tests.simulator_run import backend, simulator

    with backend() as receiver, simulator(receiver) as running:
        yield running


@pytest.fixture
def meta(running: Simulator) -> Simulator:
    """The same, with nothing left of the test before."""
    running.start_afresh()
    return running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser, for a whole file."""
    from tests.browsing import chromium

    with chromium() as browser:
        yield browser


def _memory() -> str | None:
    """Return a folder in memory where there is one with room, for what need not last.

    A clone is some 1,000 small files: on a slow disk they take a second, in memory a tenth.
    """
    shared = Path("/dev/shm")
    if not shared.is_dir() or not os.access(shared, os.W_OK):
        return None
    for left in shared.glob(f"{_PREFIX}*"):
        # A run that was killed could not tidy up, and memory is no disk.
        with contextlib.suppress(OSError, ValueError):
            server = int((left / "postgres" / "postmaster.pid").read_text().split()[0])
            if not Path(f"/proc/{server}").exists():
                shutil.rmtree(left, ignore_errors=True)
    return str(shared) if shutil.disk_usage(shared).free > _ROOM else None


def _server(guardian: Guardian, *, durable: bool) -> Iterator[PostgresServer]:
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=None if durable else _memory()))
    # As root without user namespaces Postgres runs as another user, who must get through.
    folder.chmod(0o711)
    server = PostgresServer(
        folder / "postgres", log=folder / "postgres.log", durable=durable, guardian=guardian
    )
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
