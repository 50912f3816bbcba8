"""How what is kept for a time only is deleted: in small transactions, so that nobody waits long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar
from uuid import UUID

from switchboard.jobs._kind import Context
from switchboard.kernel.db import Connection

#: Rows of one transaction, and seconds of one run: what is left waits for the next run.
_BATCH = 500
_SLICE_S = 10.0


class Walked(Protocol):
    """How many rows a transaction deleted, and where it came to; no tenant: that was all."""

    @property
    def gone(self) -> int:
        """Rows that were deleted."""

    @property
    def tenant_id(self) -> UUID | None:
        """The tenant whose rows it came to."""


Place = TypeVar("Place", bound=Walked)


def retire(context: Context, delete: Callable[[Connection, int], int]) -> int:
    """Call `delete` (connection, how many at most) until it finds less than that or time is over.

    Returns how many it has deleted in all.
    """

    def step(connection: Connection) -> tuple[int, bool]:
        gone = delete(connection, _BATCH)
        return gone, gone == _BATCH

    return _run(context, step)


def retire_along(
    context: Context, delete: Callable[[Connection, int, Place], Place], beginning: Place
) -> int:
    """Call `delete` (connection, how many at most, where it came to) along an index's order.

    For rows of which some stay: what was passed is not looked at again. Returns as `retire`.
    """
    place = beginning

    def step(connection: Connection) -> tuple[int, bool]:
        nonlocal place
        place = delete(connection, _BATCH, place)
        return place.gone, place.tenant_id is not None

    return _run(context, step)


def _run(context: Context, step: Callable[[Connection], tuple[int, bool]]) -> int:
    tools = context.tools
    end = min(context.deadline - 5.0, tools.clock.monotonic() + _SLICE_S)
    retired, more = 0, True
    while more:
        with tools.db.transaction(statement_timeout_ms=10_000) as connection:
            gone, more = step(connection)
        retired += gone
        if tools.clock.monotonic() >= end:
            break
    return retired
