"""Runs a use case's statements in one transaction of a tenant; all of them may run twice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from psycopg import errors as pg

from switchboard.kernel.db import Connection
from switchboard.kernel.errors import Unavailable
from switchboard.kernel.log import log
from switchboard.tools import Tools

#: Passing trouble: 40001, 40P01, 55P03.
_PASSING = (pg.SerializationFailure, pg.DeadlockDetected, pg.LockNotAvailable)
_TRIES = 4
T = TypeVar("T")


def transact(
    tools: Tools,
    tenant_id: UUID,
    work: Callable[[Connection], T],
    *,
    statement_timeout_ms: int | None = None,
) -> T:
    """Return `work(connection)`, committed.

    It must be harmless to run twice: after a collision and after a link that was lost (a frozen
    environment's may be) it runs again. Raises Unavailable where that does not help either, and
    for a statement that takes longer than the role may, or than `statement_timeout_ms`.
    """
    lost = False
    for attempt in range(1, _TRIES + 1):
        try:
            with tools.db.transaction(
                tenant_id, statement_timeout_ms=statement_timeout_ms
            ) as connection:
                return work(connection)
        except _PASSING as error:
            if attempt == _TRIES:
                raise Unavailable("the database is too busy") from error
            log.info("transact.collided", sqlstate=error.sqlstate)
            # Full jitter: whoever collided does not meet again.
            time.sleep(random.uniform(0, 0.02 * 2**attempt))
        except pg.QueryCanceled as error:
            raise Unavailable("the database took too long") from error
        except Unavailable:
            # A lost link is tried once more on a new one; where none can be made that is refused
            # without waiting.
            if lost or attempt == _TRIES:
                raise
            lost = True
    raise AssertionError("unreachable")
