"""Taking a guard of the send road out, in a test's own database or process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.crash.cases import Case
from tests.crash.product import run
from tests.sending import World


def take_out(world: World, function: str, guard: str, instead: str) -> None:
    """Replace `guard` in a function of the schema."""
    row = world.everything.execute(
        "select pg_get_functiondef(oid) from pg_proc where proname = %s", (function,)
    ).fetchone()
    assert row is not None
    assert guard in row[0], f"{function} has no {guard}"
    world.everything.execute(row[0].replace(guard, instead).encode())


def the_sweep_accepts(world: World, case: Case) -> None:
    """Run one history of the sweep: nothing may be wrong with it."""
    counts = run(world.database, [case])
    assert not counts.failures, counts.failures


@contextmanager
def going_wrong(word: str = "") -> Iterator[None]:
    """Expect that what is done here is found wrong, in these words."""
    with pytest.raises(AssertionError, match=word):
        yield
