"""Time and ids, injectable: tests own both, production asks the database and the random source.

Statements take `:now` and use `coalesce(:now, clock_timestamp())`. Production passes None, so that
leases and due times never depend on a Lambda's clock; a test passes its own time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

#: The bits of a version-7 UUID that do not vary, the version and the variant: where, and what.
_NOT_FIXED = ~(0xF << 76 | 0x3 << 62)
_FIXED = 0x7 << 76 | 0x2 << 62


def uuid7(milliseconds: int | None = None) -> UUID:
    """Return a version-7 UUID (RFC 9562, 5.7) of `milliseconds` since 1970 (default: now).

    The message tables are partitioned by this time, so it is the time of arrival here.
    """
    ms = time.time_ns() // 1_000_000 if milliseconds is None else milliseconds
    noise = int.from_bytes(os.urandom(10))
    return UUID(int=((ms & 0xFFFF_FFFF_FFFF) << 80 | noise) & _NOT_FIXED | _FIXED)


def wall_clock() -> datetime:
    """Return the machine's time, for what is not stored: back-off inside one process, tokens."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """What tells time and makes ids.

    `now` is None in production (the database's clock decides), `new_id` makes version-7 ids,
    `wall` is the process's own time, `monotonic` its stopwatch in seconds, `sleep` waits seconds.
    """

    now: datetime | None = None
    new_id: Callable[[], UUID] = uuid7
    wall: Callable[[], datetime] = wall_clock
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
