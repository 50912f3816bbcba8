"""What the worker's tests share: tools with a clock of the test's own, kinds and sends at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import ConfigDict

from switchboard.jobs._kind import Args, Context, Effects, JobKind
from switchboard.kernel.clock import Clock
from switchboard.kernel.settings import Settings
from switchboard.tools import Tools
from switchboard.worker import Summary, drain
from tests.databases import ClonedDatabase, WarmDatabase
from tests.db.jobs_at_hand import START, Jobs


class AnyArgs(Args):
    """Takes whatever there is."""

    model_config = ConfigDict(frozen=True, extra="allow")


Run = Callable[[Context, AnyArgs], Effects]


class Kinds:
    """Kinds that a test brings, in place of the registry."""

    def __init__(self, *kinds: JobKind[Any]) -> None:
        self._kinds = {kind.name: kind for kind in kinds}

    def __getitem__(self, name: str, /) -> JobKind[Any]:
        return self._kinds[name]

    def __iter__(self) -> Iterator[JobKind[Any]]:
        return iter(self._kinds.values())


def work(run: Run, *, max_attempts: int = 8, needs_s: float = 10.0) -> Kinds:
    """Return the one kind `work` that runs `run`."""
    return Kinds(
        JobKind(name="work", args=AnyArgs, run=run, max_attempts=max_attempts, needs_s=needs_s)
    )


@dataclass
class NoSends:
    """An outbox with nothing to send; `then` is called at each look.

    `soon`: seconds until something may go out.
    """

    then: Callable[[int], None] = lambda turn: None
    soon: float | None = None
    deadlines: list[float] = field(default_factory=list)

    def run_due(self, tools: Tools, deadline: float) -> dict[str, int]:
        self.deadlines.append(deadline)
        self.then(len(self.deadlines))
        return {}

    def next_in(self, tools: Tools) -> float | None:
        return self.soon


class WorkerTools(Tools):
    """Tools whose time the test moves and which count nudges."""

    def __init__(self, database: ClonedDatabase | str) -> None:
        if isinstance(database, str):
            super().__init__(Settings(database_url=database))
        else:
            super().__init__(Settings(database_url=database.app_url), db=WarmDatabase(database))
        self.nudges = 0
        self.seconds = 0.0
        self.at(START)

    def at(self, now: datetime) -> None:
        """Set the time that statements are given."""
        self.clock = Clock(now=now, monotonic=lambda: self.seconds)

    def nudge(self) -> None:
        self.nudges += 1


class Bench:
    """A worker's surroundings on one database."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs
        self.tools = WorkerTools(jobs.database)
        self.sends = NoSends()

    def drain(self, kinds: Kinds, *, seconds: float = 100.0) -> Summary:
        """Drain with `seconds` left, on the stopwatch that the test moves."""
        return drain(self.tools, self.tools.seconds + seconds, kinds=kinds, sends=self.sends)

    def notes(self) -> list[tuple[int, str]]:
        """Return which effects were committed, in order."""
        return self.jobs.everything.execute(
            "select job, note from public.effects order by at"
        ).fetchall()

    def later(self, seconds: float) -> None:
        """Move the time that statements are given."""
        now = self.tools.clock.now
        assert now is not None
        self.tools.at(now + timedelta(seconds=seconds))


def note(context: Context, text: str = "done") -> Effects:
    """Return effects that leave a row in public.effects."""

    def write(connection: Any) -> None:
        connection.execute(
            "insert into public.effects (job, note) values (%s, %s)", (context.job_id, text)
        )

    return Effects(writes=(write,), result={"noted": text})
