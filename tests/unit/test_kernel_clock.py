"""Ids that carry their time, and a clock that tests own."""

from __future__ import annotations

import time
from datetime import UTC

import pytest

from switchboard.kernel.clock import Clock, uuid7, wall_clock


@pytest.mark.parametrize("ms", [0, 1, 1_763_649_194_123, 2**48 - 1])
def test_an_id_is_version_7_and_carries_its_milliseconds(ms: int) -> None:
    for _ in range(200):
        made = uuid7(ms)
        assert made.version == 7
        assert made.variant == "specified in RFC 4122"
        assert made.int >> 80 == ms


def test_without_a_time_it_is_now() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid7().int >> 80
    assert before <= made <= time.time_ns() // 1_000_000


def test_ids_of_one_millisecond_differ() -> None:
    assert len({uuid7(5) for _ in range(10_000)}) == 10_000


def test_ids_sort_by_their_time() -> None:
    made = [uuid7(ms) for ms in range(1000, 2000)]
    assert sorted(made) == made
    assert sorted(map(str, made)) == list(map(str, made))


def test_every_random_bit_is_used() -> None:
    """72 bits of noise: 12 after the version, 62 less 2 of the variant after it."""
    seen = 0
    for _ in range(2000):
        seen |= uuid7(0).int
    assert seen == 0x0000_0000_0000_7FFF_BFFF_FFFF_FFFF_FFFF


def test_production_leaves_time_to_the_database() -> None:
    assert Clock().now is None
    assert Clock().wall is wall_clock
    assert wall_clock().tzinfo is UTC
