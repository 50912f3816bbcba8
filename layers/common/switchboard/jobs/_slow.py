"""Statements of one job's that take too long: its own trouble, and not the database's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import errors as pg

from switchboard.kernel.errors import Unavailable


@contextmanager
def own_trouble() -> Iterator[None]:
    """Raise TimeoutError for what was cancelled for its length: the worker must not stop for it."""
    try:
        yield
    except Unavailable as error:
        if isinstance(error.__cause__, pg.QueryCanceled | pg.LockNotAvailable):
            raise TimeoutError("a step took too long") from error
        raise
