"""Applies sql/NNNN_*.sql as the owner: numbered, forward only, one transaction a file.

A ledger keeps each file's sha256; a file that changed after it ran is drift and stops everything.
An advisory transaction lock lets one runner work at a time. A file whose first line is
`-- migrate: no transaction` runs statement by statement outside one (CREATE INDEX CONCURRENTLY).
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql

from switchboard.kernel.errors import MigrationDrift, MigrationFailed

#: Any two runners agree on this number; it has no other meaning.
_LOCK = 0x5357_4244
#: How long a statement waits for a table that a running function holds.
_LOCK_TIMEOUT = "10s"
#: Seconds between two looks whether another runner is done.
_POLL_S = 0.2
_Connection = psycopg.Connection[tuple[object, ...]]
_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_OUTSIDE = "-- migrate: no transaction"
_LEDGER: LiteralString = """
create table if not exists public.schema_migrations (
    version integer primary key,
    name text not null unique,
    sha256 text not null,
    applied_at timestamptz not null default clock_timestamp()
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of sql/: its number, name, digest and text."""

    version: int
    name: str
    sha256: str
    text: str


def read(directory: Path) -> list[Migration]:
    """Return the migrations of `directory` in order.

    Raises MigrationDrift for a misnamed file, a number used twice or a gap.
    """
    found: list[Migration] = []
    for path in sorted(directory.glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise MigrationDrift(f"{path.name}: a migration is named NNNN_words.sql")
        raw = path.read_bytes()
        digest = hashlib.sha256(raw).hexdigest()
        found += [Migration(int(match[1]), path.name, digest, raw.decode("utf-8"))]
    for expected, migration in enumerate(found, start=1):
        if migration.version != expected:
            raise MigrationDrift(
                f"{migration.name}: expected number {expected:04d}; numbers have no gaps or twins"
            )
    return found


def migrate(owner_url: str, directory: Path, *, app_password: str | None = None) -> list[str]:
    """Apply what is not applied yet and return the names of those files.

    Older code than the ledger (a rollback) changes nothing: files unknown to it are left alone, as
    long as those it knows are unchanged. `app_password` is set for the role `app` afterwards.
    Raises MigrationDrift, MigrationFailed (that file is rolled back, those before it stay), or
    psycopg.OperationalError when the database cannot be reached.
    """
    known = read(directory)
    with psycopg.connect(owner_url, autocommit=True, connect_timeout=10) as connection:
        connection.execute("select set_config('lock_timeout', %s, false)", (_LOCK_TIMEOUT,))
        with _alone(connection):
            connection.execute(_LEDGER)
        applied = [migration.name for migration in known if _apply(connection, migration)]
        if app_password is not None:
            _set_password(connection, "app", app_password)
    return applied


def _set_password(connection: _Connection, role: str, password: str) -> None:
    # Digested here: the server logs statements, and only a digest may stand in them.
    digest = connection.pgconn.encrypt_password(
        password.encode(), role.encode(), b"scram-sha-256"
    ).decode()
    connection.execute(
        sql.SQL("alter role {} login password {}").format(sql.Identifier(role), sql.Literal(digest))
    )


def _apply(connection: _Connection, migration: Migration) -> bool:
    outside = migration.text.startswith(_OUTSIDE)
    # The lock is taken per file, so that two runners at once interleave without harm.
    with _alone_for_long(connection) if outside else _alone(connection):
        if _is_applied(connection, migration):
            return False
        try:
            if outside:
                # Each statement must be safe to repeat (if not exists): a crash here runs it again.
                for statement in migration.text.split(";\n"):
                    if statement.strip():
                        _run(connection, statement)
            else:
                _run(connection, migration.text)
        except psycopg.Error as error:
            raise MigrationFailed(f"{migration.name}: {error}") from error
        connection.execute(
            "insert into public.schema_migrations (version, name, sha256) values (%s, %s, %s)",
            (migration.version, migration.name, migration.sha256),
        )
    return True


def _is_applied(connection: _Connection, migration: Migration) -> bool:
    """Return whether the ledger has the file; raises MigrationDrift where it has another one."""
    row = connection.execute(
        "select name, sha256 from public.schema_migrations where version = %s",
        (migration.version,),
    ).fetchone()
    if row is not None and row != (migration.name, migration.sha256):
        raise MigrationDrift(
            f"{migration.name} differs from what was applied as {row[0]}: "
            "migrations are never edited, add a new file"
        )
    return row is not None


@contextmanager
def _alone(connection: _Connection) -> Iterator[None]:
    """Open a transaction that no other runner has at the same time.

    Polls: whoever waits inside a transaction makes an index that another runner builds
    concurrently wait for it, and the two wait for each other.
    """
    while True:
        with connection.transaction():
            row = connection.execute("select pg_try_advisory_xact_lock(%s)", (_LOCK,)).fetchone()
            if row == (True,):
                yield
                return
        time.sleep(_POLL_S)


@contextmanager
def _alone_for_long(connection: _Connection) -> Iterator[None]:
    """Keep other runners away without a transaction; a closed connection gives the lock back."""
    while connection.execute("select pg_try_advisory_lock(%s)", (_LOCK,)).fetchone() != (True,):
        time.sleep(_POLL_S)
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("select pg_advisory_unlock(%s)", (_LOCK,))


def _run(connection: _Connection, text: str) -> None:
    # Without parameters psycopg sends the text as it is, any number of statements.
    connection.execute(text)
