"""Runs a statement of the send road: passing trouble is tried again, a lost link said plainly."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

import psycopg
from psycopg import errors as pg

from switchboard.kernel.db import Connection
from switchboard.kernel.errors import Unavailable
from switchboard.kernel.log import log
from switchboard.tools import Tools

#: Passing trouble: 40001, 40P01, 55P03, 57014.
_PASSING = (
    pg.SerializationFailure,
    pg.DeadlockDetected,
    pg.LockNotAvailable,
    pg.QueryCanceled,
)
_TRIES = 4
T = TypeVar("T")


def commit(tools: Tools, run: Callable[[Connection], T], *, again: bool = False) -> T:
    """Return `run(connection)`, which commits by itself.

    `again` says that running it twice is harmless, so that a lost link is tried once more on a new
    connection. Raises Unavailable when the database is away or was lost: then it is not known
    whether the statement was committed.
    """
    for attempt in range(1, _TRIES + 1):
        connection = tools.db.connection()
        try:
            return run(connection)
        except _PASSING as error:
            if attempt == _TRIES:
                raise Unavailable("the database is too busy") from error
            log.info("outbox.collided", sqlstate=error.sqlstate)
            # Full jitter: whoever collided does not meet again.
            time.sleep(random.uniform(0, 0.02 * 2**attempt))
        except psycopg.OperationalError as error:
            tools.db.drop()
            if not again:
                raise Unavailable("the database was lost") from error
            again = False
    raise AssertionError("unreachable")
