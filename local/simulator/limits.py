"""Meta's sending limits: per pair of numbers and per business number.

Pair: one message in 6 s to one person, a burst of 45 borrows from the future (131056).
Throughput: 80 messages a second per number, in and out together (130429).
"""

from __future__ import annotations

from dataclasses import dataclass

PAIR_SECONDS = 6.0


@dataclass(slots=True)
class _Bucket:
    """Tokens left at a moment."""

    tokens: float
    at: float


class Limits:
    """Token buckets by key; an unused bucket is full."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, ...], _Bucket] = {}

    def take_pair(self, phone_number_id: str, recipient: str, *, burst: int, now: float) -> bool:
        """Whether one more message from that number to that person is allowed now."""
        key = ("pair", phone_number_id, recipient)
        return self._take(key, rate=1 / PAIR_SECONDS, burst=burst, now=now)

    def take_throughput(self, phone_number_id: str, *, per_second: int, now: float) -> bool:
        """Whether that number may handle one more message now."""
        key = ("number", phone_number_id)
        return self._take(key, rate=per_second, burst=per_second, now=now)

    def clear(self) -> None:
        """Forget all use."""
        self._buckets.clear()

    def _take(self, key: tuple[str, ...], *, rate: float, burst: int, now: float) -> bool:
        bucket = self._buckets.setdefault(key, _Bucket(tokens=burst, at=now))
        # A clock that a test turns back must not take tokens away.
        elapsed = max(0.0, now - bucket.at)
        bucket.tokens = min(float(burst), bucket.tokens + elapsed * rate)
        bucket.at = now
        # A hair under one still counts: 6.0 s of refill must be a whole token despite rounding.
        if bucket.tokens < 1 - 1e-9:
            return False
        bucket.tokens -= 1
        return True
