"""One Postgres connection per execution environment, and SQL by name.

A frozen Lambda's connection may be dead when it thaws, and neither psycopg nor the kernel says so
before the first statement. So: the wall-clock gap since the last use decides whether the connection
is tried before it is handed out, and a broken one is replaced.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from typing import Any, LiteralString, Protocol
from uuid import UUID

import orjson
import psycopg
from psycopg.rows import TupleRow
from psycopg.types.json import set_json_loads

from switchboard.kernel.errors import ConfigurationError, Unavailable

Connection = psycopg.Connection[TupleRow]

#: Seconds (wall clock) without use after which a connection is tried before it is trusted.
TRY_AFTER_S = 20.0
#: Seconds after a failed connect in which no other connect is tried (design: straight to backlog).
REFUSE_FOR_S = 5.0
#: libpq options of every connection. tcp_user_timeout and the keepalives end a wait on a link that
#: swallows packets: libpq has no query timeout of its own, statement_timeout is the server's.
_OPTIONS: dict[str, Any] = {
    "connect_timeout": 3,
    "tcp_user_timeout": 8000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "application_name": "switchboard",
}


class UrlSource(Protocol):
    """Says where the database is; asked at every connect, so that a new password is seen."""

    def __call__(self, *, fresh: bool) -> str:
        """Return the libpq URL; `fresh` past every cache (the server refused the password)."""


class Database:
    """The process's connection to Postgres as role `app` (or the role of its URL).

    `url` is the libpq URL, or what gives it.
    """

    def __init__(
        self,
        url: str | UrlSource,
        *,
        wall: Callable[[], float] = time.time,
        prepare_threshold: int | None = 5,
    ) -> None:
        self._url = url
        self._wall = wall
        self._prepare_threshold = prepare_threshold
        self._connection: Connection | None = None
        self._used = 0.0
        self._failed_at = -REFUSE_FOR_S

    def connection(self) -> Connection:
        """Return the live connection, in autocommit; a new one when the old one is gone.

        Raises Unavailable when the server cannot be reached, at once for 5 s after a failure.
        """
        now = self._wall()
        connection = self._connection
        if connection is not None and not connection.closed:
            # Not negative: a clock that was set back says nothing.
            if 0 <= now - self._used < TRY_AFTER_S:
                self._used = now
                return connection
            try:
                connection.execute("select 1")
            except psycopg.Error:
                self.drop()
            else:
                self._used = now
                return connection
        elif connection is not None:
            self.drop()
        return self._connect(now)

    def _connect(self, now: float) -> Connection:
        if 0 <= now - self._failed_at < REFUSE_FOR_S:
            raise Unavailable("the database could not be reached a moment ago")
        try:
            try:
                connection = self._open(fresh=False)
            except psycopg.OperationalError as error:
                # 28P01, invalid password: the secret may have been rotated under us.
                if "password" not in str(error):
                    raise
                connection = self._open(fresh=True)
        except psycopg.ProgrammingError:
            # The driver's text quotes the whole URL, password and all.
            raise ConfigurationError("the database's URL is not one that libpq reads") from None
        except psycopg.OperationalError as error:
            # By the end of the attempt: one that waited for its timeout has used up 3 s of the 5.
            self._failed_at = self._wall()
            raise Unavailable("the database cannot be reached") from error
        self._failed_at = -REFUSE_FOR_S
        self._connection = connection
        self._used = now
        return connection

    def _open(self, *, fresh: bool) -> Connection:
        url = self._url if isinstance(self._url, str) else self._url(fresh=fresh)
        connection = psycopg.connect(
            url,
            autocommit=True,
            prepare_threshold=self._prepare_threshold,
            **_OPTIONS,
        )
        # jsonb writes 1e25 out in digits: as an int of Python's no answer could be made of it. The
        # reader of webhooks makes a float of such a number, and so does this.
        set_json_loads(orjson.loads, connection)
        return connection

    def drop(self) -> None:
        """Close and forget the connection, whatever its state: the next use opens another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except psycopg.Error:  # closing what is already broken
                return

    @contextmanager
    def transaction(
        self, tenant_id: UUID | str | None = None, *, statement_timeout_ms: int | None = None
    ) -> Iterator[Connection]:
        """Open BEGIN … COMMIT and yield the connection, seeing `tenant_id`'s rows only.

        Without a tenant every forced policy shows nothing; only the doors work. A lost link is
        raised as Unavailable: then it is not known whether the transaction was committed.
        """
        connection = self.connection()
        try:
            with connection.transaction():
                if tenant_id is not None:
                    set_tenant(connection, tenant_id)
                if statement_timeout_ms is not None:
                    connection.execute(
                        "select set_config('statement_timeout', %s, true)",
                        (str(statement_timeout_ms),),
                    )
                yield connection
        except psycopg.OperationalError as error:
            if connection.closed or connection.broken:
                self.drop()
                raise Unavailable("the database was lost") from error
            raise


def set_tenant(connection: Connection, tenant_id: UUID | str) -> None:
    """Make `tenant_id`'s rows visible until the end of the open transaction."""
    connection.execute("select set_config('switchboard.tenant_id', %s, true)", (str(tenant_id),))


@cache
def queries(package: str, name: str) -> dict[str, LiteralString]:
    """Return the named statements of `<package>/sql/<name>.sql`.

    A statement starts with a line `-- name: <its name>`; the comment lines after it say why it is
    written as it is. Parameters are psycopg's `%(name)s`. Raises ValueError for a name used twice.
    """
    text = resources.files(package).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
    found: dict[str, LiteralString] = {}
    for part in text.split("-- name:")[1:]:
        title, _, body = part.partition("\n")
        key = title.strip()
        if key in found:
            raise ValueError(f"{package}/sql/{name}.sql has two statements named {key}")
        found[key] = body.strip().removesuffix(";")
    return found
