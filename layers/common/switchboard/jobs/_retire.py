"""How what is kept for a time only is deleted: in small transactions, so that nobody waits long."""

from __future__ import annotations

from collections.abc import Callable

from switchboard.jobs._kind import Context
from switchboard.kernel.db import Connection

#: Rows of one transaction, and seconds of one run: what is left waits for the next hour.
_BATCH = 500
_SLICE_S = 10.0


def retire(context: Context, delete: Callable[[Connection, int], int]) -> int:
    """Call `delete` (connection, how many at most) until it finds less than that or time is over.

    Returns how many it has deleted in all.
    """
    tools = context.tools
    end = min(context.deadline - 5.0, tools.clock.monotonic() + _SLICE_S)
    retired = 0
    while True:
        with tools.db.transaction(statement_timeout_ms=10_000) as connection:
            gone = delete(connection, _BATCH)
        retired += gone
        if gone < _BATCH or tools.clock.monotonic() >= end:
            return retired
