"""The contract of a gate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from switchboard.policy.facts import Facts, Kind

#: Every kind of message.
ALL = frozenset(Kind)


@dataclass(frozen=True, slots=True)
class Deny:
    """The gate forbids the message: a word for programs, a hint for people."""

    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class Defer:
    """The gate holds the message until a time, or until something changes (None)."""

    reason: str
    hint: str
    until: datetime | None


Finding = Deny | Defer | None


@dataclass(frozen=True, slots=True)
class Gate:
    """A rule of the policy. `ask` returns None where nothing speaks against the message.

    Of several denials the one with the smallest `rank` is the reason that is told.
    """

    name: str
    rank: int
    kinds: frozenset[Kind]
    ask: Callable[[Facts], Finding]
