"""A use case's statements: tried again after a collision or a lost link, refused after that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from psycopg import errors as pg

from switchboard.kernel.db import Connection
from switchboard.kernel.errors import Unavailable
from switchboard.transact import transact
from tests.databases import ClonedDatabase
from tests.sending import World


@pytest.fixture
def world(database: ClonedDatabase) -> Iterator[World]:
    with closing(World(database)) as world:
        yield world


@pytest.mark.parametrize(
    ("troubles", "tries"),
    [
        ([pg.DeadlockDetected] * 3, 4),
        ([Unavailable], 2),
        ([pg.SerializationFailure, Unavailable, pg.LockNotAvailable], 4),
    ],
)
def test_what_passes_is_tried_again(
    world: World, troubles: list[type[Exception]], tries: int
) -> None:
    assert attempts(world, troubles) == (tries, "done")


@pytest.mark.parametrize(
    ("troubles", "tries"),
    [
        ([pg.DeadlockDetected] * 4, 4),
        ([Unavailable, Unavailable], 2),
        ([pg.QueryCanceled], 1),
        # The link is lost when the last try is over.
        ([pg.DeadlockDetected] * 3 + [Unavailable], 4),
    ],
)
def test_what_stays_says_that_the_database_is_away(
    world: World, troubles: list[type[Exception]], tries: int
) -> None:
    assert attempts(world, troubles) == (tries, "unavailable")


def attempts(world: World, troubles: list[type[Exception]]) -> tuple[int, str]:
    """Return how often the work ran that meets `troubles` one after the other, and its end."""
    place = world.place()
    runs = 0

    def work(_: Connection) -> str:
        nonlocal runs
        runs += 1
        if runs <= len(troubles):
            raise troubles[runs - 1]("trouble")
        return "done"

    try:
        end = transact(world.tools(), place.tenant_id, work)
    except Unavailable:
        end = "unavailable"
    return runs, end
