"""What every benchmark shares: a figure is a ratio against a limit measured in the same run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """One ratio: `letter` and `name` say which, `floor` what it must reach (or stay below)."""

    letter: str
    name: str
    value: float
    floor: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether the figure keeps its floor (its ceiling where `at_most`)."""
        return self.value <= self.floor if self.at_most else self.value >= self.floor

    def __str__(self) -> str:
        return f"{self.letter} {self.name} ratio {self.value:.2f}"


def ratio(ours: Sequence[float], limit: Sequence[float]) -> float:
    """Return the median of the per-round ratios of two interleaved series of rates."""
    return median(o / bound for o, bound in zip(ours, limit, strict=True))
