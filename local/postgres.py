"""Runs one embedded PostgreSQL server: made on first use, kept alive, stopped cleanly.

Listens on 127.0.0.1 only, by TCP only. Roles as on RDS: the superuser `postgres` exists only to
bootstrap the plain role `owner` (CREATEROLE, no superuser, no BYPASSRLS) and the database
`switchboard` that it owns; migrations, run as `owner`, bring the rest.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from local.faults import BrokenDataFolder, LocalError, PortInUse
from local.guardian import Guardian
from local.ports import HOST, free_port, is_free
from local.postgres_binaries import Binaries, find_binaries
from local.postgres_folder import (
    SUPERUSER,
    check_data_folder,
    is_missing,
    last_line,
    make_data_folder,
)

DATABASE = "switchboard"
_START_SECONDS = 60.0
_STOP_SECONDS = 15.0
_SETTINGS = (
    f"listen_addresses={HOST}",
    "unix_socket_directories=",  # a deep folder's path would not fit into a socket's name
    "max_connections=200",
    "timezone=UTC",
    "log_timezone=UTC",
    "log_checkpoints=off",
)
#: The processes of a killed server need a moment to notice and end; then a new one may start.
_PASSING = ("shared memory block", "lock file")
_FAST_BUT_LOSSY = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


@dataclass(frozen=True, slots=True)
class Passwords:
    """Passwords of the superuser and of the roles `owner` and `app` (set by the migrations)."""

    superuser: str
    owner: str
    app: str


class PostgresServer:
    """One server on one data folder.

    Without `passwords` everyone on this machine is trusted (tests). `durable=False` trades safety
    for speed: a killed server may then lose its last commits. `say` is told what happens, in words
    for a person.
    """

    def __init__(
        self,
        folder: Path,
        *,
        log: Path,
        port: int | None = None,
        passwords: Passwords | None = None,
        durable: bool = True,
        binaries: Binaries | None = None,
        guardian: Guardian | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.folder = folder.absolute()
        self.port = free_port() if port is None else port
        self._any_port = port is None
        self._log = log
        self._passwords = passwords
        self._durable = durable
        self._binaries = binaries or find_binaries(cache=None)
        self._guardian = guardian
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None

    def url(self, role: str = SUPERUSER, database: str = DATABASE) -> str:
        """Return the libpq URL of `role` (`postgres`, `owner` or `app`) at `database`."""
        login = role
        if self._passwords is not None:
            field = "superuser" if role == SUPERUSER else role
            login += f":{getattr(self._passwords, field)}"
        return f"postgresql://{login}@{HOST}:{self.port}/{database}"

    def start(self) -> None:
        """Make the data folder if need be, start the server and wait until it answers.

        Raises PortInUse, BrokenDataFolder or LocalError. A server that a killed run left behind on
        this folder is stopped first.
        """
        self._stopping.clear()
        if is_missing(self.folder):
            password = None if self._passwords is None else self._passwords.superuser
            make_data_folder(self.folder, self._binaries, password, durable=self._durable)
        check_data_folder(self.folder, self._binaries)
        self._stop_leftover()
        self._launch()
        self._bootstrap()

    def watch(self) -> None:
        """From now on start the server again, on the same port, whenever it dies."""
        self._watcher = threading.Thread(target=self._keep_alive, name="postgres", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """Stop the server (fast shutdown: open transactions are rolled back)."""
        self._stopping.set()
        self._end_process()
        if self._watcher is not None:
            self._watcher.join(_STOP_SECONDS)
            self._watcher = None
            # The watcher may have been about to start another one.
            self._end_process()
        self._forget()

    def _end_process(self) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            for number in (signal.SIGINT, signal.SIGQUIT):
                process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_STOP_SECONDS)
                    break

    def kill(self) -> None:
        """End the server as `kill -9` does, for tests; `start` or the watcher brings it back."""
        pid = self.pid()
        if pid is None:
            return
        process = self._process
        os.kill(pid, signal.SIGKILL)
        if process is not None and process.pid == pid:
            process.wait(_STOP_SECONDS)

    def pid(self) -> int | None:
        """Return the process id that this data folder's own `postmaster.pid` names, if any."""
        try:
            first = (self.folder / "postmaster.pid").read_text().split("\n", 1)[0]
            return int(first)
        except (FileNotFoundError, ValueError):
            return None

    def _stop_leftover(self) -> None:
        pid = self.pid()
        if pid is None or not _is_server_of(pid, self.folder):
            return
        self._say(f"stopping the Postgres that an earlier run left behind (process {pid})")
        for number in (signal.SIGINT, signal.SIGQUIT):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            deadline = time.monotonic() + _STOP_SECONDS
            while time.monotonic() < deadline:
                if not _is_server_of(pid, self.folder):
                    return
                time.sleep(0.05)
        raise LocalError(f"The Postgres of an earlier run (process {pid}) does not stop.")

    def _launch(self) -> None:
        """Start the process and wait for an answer; tells apart why it may not come up."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            told = self._log.stat().st_size if self._log.exists() else 0
            process = self._spawn()
            if self._wait_ready(process, deadline):
                return
            with self._log.open(encoding="utf-8", errors="replace") as stream:
                stream.seek(told)
                reason = stream.read()
            self._forget()
            if "could not bind" in reason or not is_free(self.port):
                if not self._any_port:
                    raise PortInUse(
                        f"Port {self.port}, wanted for Postgres, is in use by another program."
                    )
                self.port = free_port()
            elif process.returncode < 0 or any(word in reason for word in _PASSING):
                time.sleep(0.2)
            else:
                raise BrokenDataFolder(
                    f"Postgres does not start on {self.folder}: {last_line(reason)} "
                    f"(whole log: {self._log}). Move the folder away to begin with an empty "
                    "database."
                )
            if time.monotonic() > deadline:
                raise LocalError(f"Postgres does not start: {last_line(reason)}")

    def _spawn(self) -> subprocess.Popen[bytes]:
        settings = _SETTINGS if self._durable else _SETTINGS + _FAST_BUT_LOSSY
        command = self._binaries.command("postgres", "-D", str(self.folder), "-p", str(self.port))
        for setting in settings:
            command += ["-c", setting]
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as stream:
            process = self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
                **self._binaries.identity(),
            )
        if self._guardian is not None:
            # SIGINT is Postgres' fast shutdown, which also ends its own children in order.
            self._guardian.adopt(process.pid, signal.SIGINT)
        return process

    def _wait_ready(self, process: subprocess.Popen[bytes], deadline: float) -> bool:
        """Return True when a connection succeeds, False when the process ends; else LocalError."""
        while time.monotonic() < deadline:
            if process.poll() is not None:
                return False
            if self.pid() == process.pid:
                try:
                    psycopg.connect(self.url(database="postgres"), connect_timeout=2).close()
                except psycopg.OperationalError as error:
                    if "password" in str(error):
                        raise BrokenDataFolder(
                            f"{self.folder} was made with another password than the one kept "
                            "beside it: move the folder away to begin with an empty database."
                        ) from error
                else:
                    return True
            time.sleep(0.02)
        raise LocalError(f"Postgres did not answer within {_START_SECONDS:.0f} s: see {self._log}.")

    def _bootstrap(self) -> None:
        with psycopg.connect(self.url(database="postgres"), autocommit=True) as connection:
            known = connection.execute("select 1 from pg_roles where rolname = 'owner'").fetchone()
            if known is None:
                connection.execute(
                    "create role owner login createrole nosuperuser nobypassrls nocreatedb"
                )
            if self._passwords is not None:
                connection.execute(
                    sql.SQL("alter role owner password {}").format(
                        sql.Literal(self._passwords.owner)
                    )
                )
            known = connection.execute(
                "select 1 from pg_database where datname = %s", (DATABASE,)
            ).fetchone()
            if known is None:
                connection.execute(
                    sql.SQL("create database {} owner owner").format(sql.Identifier(DATABASE))
                )

    def _keep_alive(self) -> None:
        while True:
            process = self._process
            if process is None:
                return
            code = process.wait()
            if self._stopping.is_set():
                return
            self._say(f"Postgres ended ({_ending(code)}); starting it again on port {self.port}")
            self._any_port = False
            self._forget()
            while not self._stopping.is_set():
                try:
                    self._launch()
                except LocalError as error:
                    if self._stopping.is_set():
                        return
                    self._say(str(error))
                    self._stopping.wait(2.0)
                else:
                    self._say("Postgres is back")
                    break

    def _forget(self) -> None:
        process, self._process = self._process, None
        if process is not None and self._guardian is not None:
            self._guardian.release(process.pid)


def _is_server_of(pid: int, folder: Path) -> bool:
    shown = subprocess.run(
        ["ps", "-ww", "-o", "stat=,args=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    state, _, command = shown.stdout.strip().partition(" ")
    return not state.startswith("Z") and "postgres" in command and str(folder) in command


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
