"""Databases for tests: a migrated template once per server, and clones of it.

A test has a database to itself. To make one, and to warm up what is connected to it, takes longer
than most tests; so a database that a test leaves as it was, but for its rows, is emptied for the
next one, sessions and their plans kept. What it cannot be sure to have undone, it drops.
"""

from __future__ import annotations

import atexit
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from local.postgres import PostgresServer
from switchboard.kernel.db import Connection, Database
from switchboard.kernel.migrations import migrate

SQL_FOLDER = Path(__file__).parent.parent / "sql"
TEMPLATE = "template_switchboard"
#: One connection per server makes and drops all its databases: to connect costs a fifth of a clone.
_admins: dict[str, psycopg.Connection] = {}
#: Idle connections that a database keeps for each role.
_SESSIONS = 3
#: Bytes of a table above which it is quicker to drop the database: what was deleted stays in it.
_LARGE = 512 * 1024
#: Seconds that other connections have to end in.
_ENDING_S = 5.0


@dataclass(frozen=True, slots=True)
class ClonedDatabase:
    """One test's own database on `server`, with the URL of each role that may log in.

    `idle`: connections by URL that whoever comes next may use; None where nobody comes next.
    """

    name: str
    server: PostgresServer
    idle: dict[str, list[Connection]] | None = field(default=None, repr=False, compare=False)

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

    def session(self, url: str) -> Connection | None:
        """Return a connection to `url` that somebody has given back, if there is one."""
        idle = (self.idle or {}).get(url)
        return idle.pop() if idle else None

    def superuser(self) -> Connection:
        """Return a connection in autocommit that sees everything."""
        url = self.superuser_url
        return self.session(url) or psycopg.connect(url, autocommit=True)

    @contextmanager
    def everything(self) -> Iterator[Connection]:
        """Yield a superuser's connection for a while."""
        connection = self.superuser()
        try:
            yield connection
        finally:
            self.give_back(self.superuser_url, connection)

    def give_back(self, url: str, connection: Connection) -> None:
        """Keep a connection for whoever comes next, where nothing was set or begun on it."""
        idle = [] if self.idle is None else self.idle.setdefault(url, [])
        kept = self.idle is not None and len(idle) < _SESSIONS and _reset(connection)
        if kept:
            idle.append(connection)
        else:
            connection.close()


class WarmDatabase(Database):
    """As the functions' own, but that its first connection may be the one of a test before.

    Once that is dropped or lost, everything is as with any other.
    """

    def __init__(self, database: ClonedDatabase) -> None:
        super().__init__(database.app_url)
        self._from = database
        self._first = True

    def _open(self, *, fresh: bool) -> Connection:
        first, self._first = self._first, False
        kept = self._from.session(self._from.app_url) if first else None
        return kept or super()._open(fresh=fresh)

    def drop(self) -> None:
        """As its own does."""
        self._first = False
        super().drop()

    def give_back(self) -> None:
        """Part with the connection; the next use has another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._from.give_back(self._from.app_url, connection)


@contextmanager
def as_app(database: ClonedDatabase) -> Iterator[Connection]:
    """Yield a connection as the functions have one, for a while."""
    db = WarmDatabase(database)
    try:
        yield db.connection()
    finally:
        db.give_back()


def part_with(db: Database) -> None:
    """End the use of `db`, so that the next test's is warm where it can be."""
    if isinstance(db, WarmDatabase):
        db.give_back()
    else:
        db.drop()


def _reset(connection: Connection) -> bool:
    """Undo what a session remembers beside its plans; returns whether that was possible."""
    status = connection.info.transaction_status  # UNKNOWN of a closed one
    if status != TransactionStatus.IDLE or not connection.autocommit:
        return False
    try:
        connection.execute("reset all; unlisten *; select pg_advisory_unlock_all()")
    except psycopg.Error:
        return False
    connection.row_factory = psycopg.rows.tuple_row
    return True


def make_template(server: PostgresServer) -> str:
    """Migrate a database as the plain owner, to be cloned; returns its name."""
    _create(server, TEMPLATE, template="template1")
    migrate(server.url("owner", TEMPLATE), SQL_FOLDER, app_password="app")
    with psycopg.connect(server.url(database=TEMPLATE)) as link:
        # What jobs of tests leave behind (tests/db/jobs_worker.py): made here, since a test that
        # makes a table has its database dropped.
        link.execute(
            "create table public.effects (at bigint generated always as identity,"
            " tenant_id uuid default messaging.current_tenant(), job bigint, note text)"
        )
        link.execute("grant insert, select on public.effects to app")
    return TEMPLATE


@contextmanager
def cloned(server: PostgresServer, template: str = "template1") -> Iterator[ClonedDatabase]:
    """Yield a database copied from `template`, and drop it afterwards, connections and all."""
    database = ClonedDatabase(f"test_{uuid.uuid4().hex}", server)
    _create(server, database.name, template=template)
    try:
        yield database
    finally:
        _drop(database)


class Spares:
    """Clones of `template` that tests have one after another."""

    def __init__(self, server: PostgresServer, template: str) -> None:
        self._server = server
        self._template = template
        self._spare: _Reused | None = None

    @contextmanager
    def database(self) -> Iterator[ClonedDatabase]:
        """Yield a database as it was migrated, and see afterwards whether it can be used again."""
        spare, self._spare = self._spare, None
        if spare is None:
            spare = _Reused(self._server, self._template)
        try:
            yield spare.database
        finally:
            if spare.empty():
                self._spare = spare
            else:
                spare.drop()

    def close(self) -> None:
        """Drop what nobody uses."""
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.drop()


class _Reused:
    """A database and what it looked like before any test."""

    def __init__(self, server: PostgresServer, template: str) -> None:
        self.database = ClonedDatabase(f"test_{uuid.uuid4().hex}", server, {})
        _create(server, self.database.name, template=template)
        self._link = psycopg.connect(self.database.superuser_url, autocommit=True)
        tables = self._link.execute(_TABLES).fetchall()
        self._delete = "set session_replication_role = replica;" + "".join(
            f"delete from {table}{' where id <> ' + _SYSTEM if table == _TENANTS else ''};"
            for (table,) in tables
        )
        self._partitions = {name for (name,) in self._link.execute(_PARTITIONS).fetchall()}
        self._made = self._look()

    def empty(self) -> bool:
        """Delete every row; returns whether the database is again what it was."""
        try:
            self._end_others()
            for (partition,) in self._link.execute(_PARTITIONS).fetchall():
                if partition not in self._partitions:
                    # A worker makes them by the clock that a test gave it.
                    self._link.execute(f"drop table {partition}")
            # What a test has done to the schema shows afterwards, or lets one of these fail.
            self._link.execute(self._delete)
            self._link.execute(_RESTART)
            return self._look() == self._made
        except psycopg.Error:
            return False

    def drop(self) -> None:
        """Drop the database, connections and all."""
        for idle in (self.database.idle or {}).values():
            for connection in idle:
                connection.close()
        self._link.close()
        _drop(self.database)

    def _look(self) -> tuple[Any, ...]:
        return self._link.execute(_LOOK, {"large": _LARGE}).fetchone() or ()

    def _end_others(self) -> None:
        """End every connection but our own and those that wait for the next test."""
        kept = [self._link.info.backend_pid]
        for idle in (self.database.idle or {}).values():
            kept += [connection.info.backend_pid for connection in idle if not connection.closed]
        end = time.monotonic() + _ENDING_S
        while self._link.execute(_END_OTHERS, (kept,)).fetchone() != (0,):
            if time.monotonic() > end:
                raise psycopg.OperationalError("a connection does not end")


_TENANTS = "messaging.tenants"
#: The tenant that the migrations make: the system's own.
_SYSTEM = "'00000000-0000-0000-0000-000000000000'"
#: Tables that are emptied.
_TABLES = """
    select c.oid::regclass::text from pg_class c
    where c.relkind = 'r' and c.relnamespace = 'messaging'::regnamespace
       or c.oid = 'public.effects'::regclass
"""
_PARTITIONS = """
    select i.inhrelid::regclass::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where c.relkind = 'r'
"""
#: What must be as it was. A statement that changes the schema leaves rows of its own transaction in
#: the catalogue, VACUUM and ANALYZE leave their counts there; some rows are the migrations' own.
_LOOK = f"""
    select (select count(*) || ' ' || max(xmin::text::bigint) || ' ' ||
                   count(*) filter (where reltuples > -1)
              from pg_class where oid >= 16384),
           (select count(*) || ' ' || max(xmin::text::bigint) from pg_proc where oid >= 16384),
           (select count(*) || ' ' || max(xmin::text::bigint) from pg_constraint),
           (select count(*) || ' ' || max(xmin::text::bigint) from pg_trigger),
           (select count(*) || ' ' || max(xmin::text::bigint) from pg_policy),
           (select count(*) || ' ' || max(xmin::text::bigint) from pg_namespace),
           (select count(*) from pg_db_role_setting),
           (select md5(string_agg(m::text, ' ' order by m::text)) from schema_migrations m),
           (select t::text from {_TENANTS} t where id = {_SYSTEM}),
           (select count(*) from pg_class
             where relkind = 'r' and relnamespace = 'messaging'::regnamespace
               and pg_relation_size(oid) > %(large)s)
"""
_RESTART = "select setval(seqrelid, seqstart, false) from pg_sequence"
_END_OTHERS = """
    select count(pg_terminate_backend(pid)) from pg_stat_activity
    where datname = current_database() and backend_type = 'client backend' and pid <> all(%s)
"""


def _create(server: PostgresServer, name: str, *, template: str) -> None:
    _run(
        server,
        # file_copy: nothing of a test's database need survive a crash, so nothing of it is logged.
        sql.SQL("create database {} template {} owner owner strategy file_copy").format(
            sql.Identifier(name), sql.Identifier(template)
        ),
    )


def _drop(database: ClonedDatabase) -> None:
    _run(
        database.server,
        sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(database.name)),
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
