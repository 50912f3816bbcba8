"""Lists by cursor: `{"data": […], "next_cursor": …}`.

A cursor is opaque to callers. It holds the position after which the next page begins and a digest
of the list and its filters, so that one of another list is refused and not silently misread. It
guards nothing: whose rows are seen is the key's affair.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

import orjson
from pydantic import Field

from switchboard.kernel.arguments import Arguments
from switchboard.kernel.errors import BadRequest

#: The most rows of a page.
MOST = 200
#: Rows that one page may look at where filters leave few of them: a bound on its time.
WALK = 5_000
R = TypeVar("R")


class Paged(Arguments):
    """What every list takes."""

    limit: int = Field(50, ge=1, le=MOST, description=f"rows of a page, at most {MOST}")
    cursor: str | None = Field(
        None, max_length=1000, description="next_cursor of the page before; same filters"
    )


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """A page: where filters leave few rows it may hold less than asked for, even none.

    `next_cursor` None: there is nothing after it.
    """

    data: Sequence[R]
    next_cursor: str | None


def page_of(
    name: str,
    asked: Paged,
    rows: Sequence[R],
    position: Callable[[R], tuple[str | UUID | datetime | None, ...]],
) -> Page[R]:
    """Return the page of `rows` of the list `name`, which was asked for one row more than it holds.

    That one more is there says that another page follows; it begins after the last row's
    `position`.
    """
    shown = rows[: asked.limit]
    if len(rows) == len(shown):
        return Page(shown, None)
    return Page(shown, write_cursor(name, asked, *position(shown[-1])))


def read_moment(name: str, asked: Paged) -> tuple[datetime, UUID] | None:
    """Return the time and id in the cursor of a list that goes by them; raises as read_cursor."""
    after = read_cursor(name, asked, 2)
    return (as_time(after[0]), as_id(after[1])) if after else None


def write_cursor(name: str, asked: Paged, *position: str | UUID | datetime | None) -> str:
    """Return the cursor of the list `name` that begins after `position`."""
    parts = orjson.dumps([_digest(name, asked), *position])
    return base64.urlsafe_b64encode(parts).rstrip(b"=").decode()


def read_cursor(name: str, asked: Paged, length: int) -> list[str | None] | None:
    """Return the position (`length` parts) in `asked.cursor`; None without a cursor.

    Raises BadRequest for one that this list did not write for these filters.
    """
    if asked.cursor is None:
        return None
    text = asked.cursor
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        parts = orjson.loads(raw)
    except (binascii.Error, ValueError):
        raise refused() from None
    if (
        not isinstance(parts, list)
        or len(parts) != length + 1
        or parts[0] != _digest(name, asked)
        # Postgres has no text that holds a NUL.
        or not all(part is None or (isinstance(part, str) and "\0" not in part) for part in parts)
    ):
        raise refused()
    return parts[1:]


def as_id(part: str | None) -> UUID:
    """Return a cursor's part as an id; raises BadRequest."""
    try:
        return UUID(part or "")
    except ValueError:
        raise refused() from None


def as_time(part: str | None) -> datetime:
    """Return a cursor's part as a time with its zone; raises BadRequest."""
    try:
        time = datetime.fromisoformat(part or "")
    except ValueError:
        raise refused() from None
    if time.tzinfo is None:
        raise refused()
    return time


def refused() -> BadRequest:
    """Return the error for a cursor that is none of this list's."""
    return BadRequest(
        "the cursor is not one of this list with these filters: begin without one", field="cursor"
    )


def _digest(name: str, asked: Paged) -> str:
    filters = asked.model_dump_json(exclude={"limit", "cursor"})
    return hashlib.sha256(f"{name} {filters}".encode()).hexdigest()[:12]
