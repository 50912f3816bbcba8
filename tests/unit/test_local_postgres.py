"""The embedded server: made, stopped, killed, and refused with one clear sentence."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from local.faults import BrokenDataFolder, MissingTool, PortInUse
from local.guardian import Guardian
from local.ports import free_port
from local.postgres import Passwords, PostgresServer
from local.postgres_binaries import Binaries, copy_for_others, find_binaries
from tests.databases import ClonedDatabase

ServerMaker = Callable[..., PostgresServer]


@pytest.fixture
def make_server(tmp_path: Path, guardian: Guardian) -> ServerMaker:
    def make(**options: object) -> PostgresServer:
        return PostgresServer(
            tmp_path / "postgres",
            log=tmp_path / "postgres.log",
            guardian=guardian,
            **options,  # type: ignore[arg-type]
        )

    return make


def _wait_until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def test_owner_is_a_plain_role_that_owns_the_database_and_may_create_roles(
    database: ClonedDatabase,
) -> None:
    with psycopg.connect(database.owner_url) as connection:
        row = connection.execute(
            "select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb from pg_roles "
            "where rolname = current_user"
        ).fetchone()
        owner = connection.execute(
            "select datdba::regrole::text from pg_database where datname = current_database()"
        ).fetchone()
    assert row == (False, False, True, False)
    assert owner == ("owner",)


def test_each_test_has_its_own_database(
    database: ClonedDatabase, empty_database: ClonedDatabase
) -> None:
    with psycopg.connect(database.app_url) as one, psycopg.connect(empty_database.owner_url) as two:
        count = "select count(*) from pg_namespace where nspname = 'messaging'"
        assert one.execute(count).fetchone() == (1,)
        assert two.execute(count).fetchone() == (0,)


def test_data_and_passwords_survive_a_stop_and_a_start(make_server: ServerMaker) -> None:
    passwords = Passwords("super-1", "owner-1", "app-1")
    server = make_server(passwords=passwords)
    server.start()
    with psycopg.connect(server.url("owner")) as connection:
        connection.execute("create table kept (x int)")
    server.stop()
    assert not _answers(server.url("owner"))
    again = make_server(passwords=passwords)
    again.start()
    try:
        with psycopg.connect(again.url("owner")) as connection:
            connection.execute("select x from kept")
        wrong = again.url("owner").replace("owner-1", "wrong")
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(wrong)
    finally:
        again.stop()


def test_a_killed_server_comes_back_on_its_port_with_what_was_committed(
    durable_postgres: PostgresServer,
) -> None:
    server = durable_postgres
    port = server.port
    server.watch()
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("create table if not exists committed (n int)")
        for n in range(3):
            connection.execute("insert into committed values (%s)", (n,))
            server.kill()
            _wait_until(lambda: _answers(server.url()))
            assert server.port == port
            connection.close()
            connection = psycopg.connect(server.url(), autocommit=True)  # noqa: PLW2901
        assert connection.execute("select count(*) from committed").fetchone() == (3,)
        connection.close()


def test_the_server_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    program = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from local.guardian import Guardian\n"
        "from local.postgres import PostgresServer\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "server = PostgresServer(folder / 'p', log=folder / 'log', guardian=Guardian())\n"
        "server.start()\n"
        "print(server.pid(), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    _wait_until(lambda: not (tmp_path / "p" / "postmaster.pid").exists())
    log = tmp_path / "log"
    # The last line may come a moment after the file is gone.
    _wait_until(lambda: "database system is shut down" in log.read_text())


def test_a_server_left_behind_by_a_killed_run_is_replaced(
    make_server: ServerMaker, tmp_path: Path
) -> None:
    left_behind = make_server()
    left_behind.start()
    told: list[str] = []
    server = make_server(say=told.append)
    server.start()
    try:
        assert left_behind.pid() == server.pid()
        assert _answers(server.url())
        assert any("left behind" in line for line in told)
    finally:
        server.stop()
        left_behind.stop()


def test_a_port_that_is_taken_is_named(make_server: ServerMaker) -> None:
    with socket.socket() as other:
        port = free_port()
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(PortInUse, match=f"Port {port}, wanted for Postgres"):
            make_server(port=port).start()


def test_a_folder_of_something_else_is_not_touched(
    make_server: ServerMaker, tmp_path: Path
) -> None:
    (tmp_path / "postgres").mkdir()
    letter = tmp_path / "postgres" / "letter.txt"
    letter.write_text("dear")
    with pytest.raises(BrokenDataFolder, match="not a Postgres data folder"):
        make_server().start()
    assert letter.read_text() == "dear"


def test_a_folder_of_another_version_names_both(make_server: ServerMaker, tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("12\n")
    with pytest.raises(BrokenDataFolder, match=r"made by PostgreSQL 12, but \d+ would run"):
        make_server().start()


def test_a_broken_data_folder_is_told_with_postgres_own_reason(
    make_server: ServerMaker, tmp_path: Path
) -> None:
    server = make_server()
    server.start()
    server.stop()
    shutil.rmtree(tmp_path / "postgres" / "global")
    with pytest.raises(BrokenDataFolder, match=r"does not start on .*(FATAL|could not).*Move"):
        make_server().start()


def test_a_folder_whose_password_was_lost_is_told_at_once(make_server: ServerMaker) -> None:
    server = make_server(passwords=Passwords("first", "o", "a"))
    server.start()
    server.stop()
    other = make_server(passwords=Passwords("second", "o", "a"))
    try:
        with pytest.raises(BrokenDataFolder, match="another password"):
            other.start()
    finally:
        other.stop()


def test_missing_programs_are_named() -> None:
    with pytest.raises(MissingTool, match=r"initdb is not in /nowhere \(PG_BIN=/nowhere\)"):
        find_binaries(environment={"PG_BIN": "/nowhere"})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become another user")
def test_root_without_user_namespaces_runs_it_as_another_user(guardian: Guardian) -> None:
    import pwd
    import tempfile

    found = find_binaries()
    nobody = pwd.getpwnam("nobody").pw_uid
    with tempfile.TemporaryDirectory(prefix="switchboard-test-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        copy = copy_for_others(found.folder, folder / "cache")
        assert copy_for_others(found.folder, folder / "cache") == copy
        server = PostgresServer(
            folder / "postgres",
            log=folder / "log",
            passwords=Passwords("a", "b", "c"),
            binaries=Binaries(copy, found.major, user=nobody),
            guardian=guardian,
        )
        server.start()
        try:
            assert (folder / "postgres").stat().st_uid == nobody
            assert _answers(server.url("owner"))
        finally:
            server.stop()
