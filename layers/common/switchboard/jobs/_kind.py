"""The contract of a job kind: a name that rows use, a model of its arguments, a run.

`run` does what needs no transaction (reads of its own, HTTP) and returns what is to be written as
`Effects`. The worker writes them in one transaction together with the job's completion, under the
lease's token: they happen once or not at all, however often the run was tried. HTTP in a run is
at least once, so what must not happen twice goes to the outbox as an effect.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from switchboard.kernel.db import Connection
from switchboard.kernel.registry import Registry
from switchboard.store.jobs import AUTOMATIONS
from switchboard.tools import Tools

_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")

#: A write of a finishing transaction, which sees the job's tenant. It may raise Snooze or GiveUp;
#: whatever it raises, nothing of the transaction stays.
Write = Callable[[Connection], None]


class Args(BaseModel):
    """Base of every kind's arguments: ids only, never text of a message, never a number.

    Unknown members are ignored: a newer release may have put the job in.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")


class NoArgs(Args):
    """Of kinds that need none, all periodic ones among them."""


A = TypeVar("A", bound=Args)


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to put in for the same tenant; the fields are those of `store.jobs.enqueue`."""

    job_type: str
    args: Mapping[str, Any] = field(default_factory=dict)
    lane: str | None = None
    unique_key: str | None = None
    priority: int = AUTOMATIONS
    scheduled_for: datetime | None = None


@dataclass(frozen=True, slots=True)
class Effects:
    """What a run wants written: `writes` in order, then `jobs`, then completion with `result`.

    Write in the order in which rows are locked everywhere (contacts, conversations, messages,
    attempts). `result` is kept with the job: counts and ids, no personal data.
    """

    writes: tuple[Write, ...] = ()
    jobs: tuple[NewJob, ...] = ()
    result: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What a run works with besides its arguments; `deadline` is `tools.clock.monotonic`'s."""

    tools: Tools
    tenant_id: UUID
    job_id: int
    attempt: int
    deadline: float

    def time_left(self) -> float:
        """Return the seconds after which the run must have returned."""
        return self.deadline - self.tools.clock.monotonic()


@dataclass(frozen=True)
class JobKind(Generic[A]):
    """One kind. Its name never changes and a kind is never deleted: rows name it.

    `needs_s`: a run is begun only with that many seconds left, and returns within them.
    `every_s`: periodic, one run in each period of that many seconds since 1970, in the system
    tenant, one after another.
    Raise Snooze to run again later without spending an attempt, GiveUp where no attempt can help;
    any other error is tried again after a growing, random delay, `max_attempts` times in all.
    """

    name: str
    args: type[A]
    run: Callable[[Context, A], Effects]
    max_attempts: int = 8
    needs_s: float = 30.0
    every_s: int | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no name for a job kind")
        if self.max_attempts < 1 or self.needs_s <= 0:
            raise ValueError(f"{self.name} could never run")
        if self.every_s is not None and (self.every_s < 1 or self.args is not NoArgs):
            raise ValueError(f"{self.name}: periodic jobs come without arguments")


#: What this release can run, and therefore claims.
JOB_KINDS: Registry[JobKind[Any]] = Registry("switchboard.jobs", JobKind)
