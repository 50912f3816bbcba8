"""Databases for tests: a migrated template once per server, a clone of it per test."""

from __future__ import annotations

import atexit
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from local.postgres import PostgresServer
from switchboard.kernel.migrations import migrate

SQL_FOLDER = Path(__file__).parent.parent / "sql"
TEMPLATE = "template_switchboard"
#: One connection per server makes and drops all its databases: to connect costs a fifth of a clone.
_admins: dict[str, psycopg.Connection] = {}


@dataclass(frozen=True, slots=True)
class ClonedDatabase:
    """One test's own database on `server`, with the URL of each role that may log in."""

    name: str
    server: PostgresServer

    @property
    def app_url(self) -> str:
        """URL of `app`, the role of the functions: row-level security binds it."""
        return self.server.url("app", self.name)

    @property
    def owner_url(self) -> str:
        """URL of `owner`, the plain role that migrates (no superuser, as on RDS)."""
        return self.server.url("owner", self.name)

    @property
    def superuser_url(self) -> str:
        """URL of the superuser, to look at every row whatever its tenant."""
        return self.server.url(database=self.name)


def make_template(server: PostgresServer) -> str:
    """Migrate a database as the plain owner, to be cloned; returns its name."""
    _create(server, TEMPLATE, template="template1")
    migrate(server.url("owner", TEMPLATE), SQL_FOLDER, app_password="app")
    return TEMPLATE


@contextmanager
def cloned(server: PostgresServer, template: str = "template1") -> Iterator[ClonedDatabase]:
    """Yield a database copied from `template`, and drop it afterwards, connections and all."""
    database = ClonedDatabase(f"test_{uuid.uuid4().hex}", server)
    _create(server, database.name, template=template)
    try:
        yield database
    finally:
        _run(
            server,
            sql.SQL("drop database if exists {} with (force)").format(
                sql.Identifier(database.name)
            ),
        )


def _create(server: PostgresServer, name: str, *, template: str) -> None:
    _run(
        server,
        # file_copy: nothing of a test's database need survive a crash, so nothing of it is logged.
        sql.SQL("create database {} template {} owner owner strategy file_copy").format(
            sql.Identifier(name), sql.Identifier(template)
        ),
    )


def _run(server: PostgresServer, statement: sql.Composed) -> None:
    url = server.url(database="postgres")
    try:
        _admin(url).execute(statement)
    except psycopg.OperationalError:
        # The server was killed meanwhile, or another one has its port.
        _admins.pop(url).close()
        _admin(url).execute(statement)


def _admin(url: str) -> psycopg.Connection:
    if url not in _admins:
        _admins[url] = psycopg.connect(url, autocommit=True)
    return _admins[url]


@atexit.register
def _close_admins() -> None:
    while _admins:
        _admins.popitem()[1].close()
