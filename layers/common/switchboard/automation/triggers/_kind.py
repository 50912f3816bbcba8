"""The contract of a trigger: a name that rules use, a model of its configuration, a plan.

What a trigger of facts is due for stands in the database (`messaging.automation_plan`): the facts'
own writes plan it, so nothing is asked here. The plan holds what that view reads of the
configuration, typed. A schedule has no facts and says its next instant itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, Generic, TypeVar

from switchboard.automation.facts import Facts
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.registry import Registry

C = TypeVar("C", bound=Arguments)


@dataclass(frozen=True, slots=True)
class Plan:
    """The columns of a rule that planning reads (sql/0032); what a trigger does not use is None.

    `days` after the fact's day at the local time `at`, or `delay` after its instant, both negative
    for before; `percent` of a budget; `listens_to` is the outside event that starts it too.
    """

    days: int | None = None
    at: time | None = None
    delay: timedelta | None = None
    percent: int | None = None
    listens_to: str | None = None


@dataclass(frozen=True)
class TriggerKind(Generic[C]):
    """One trigger. Its name never changes and it is never deleted: rules name it.

    `is_so`: whether, of the facts when the run begins, what it was due for is so still.
    `next`: of a schedule, the first instant after another; None where there is none.
    `grace_s`: what a rule gets that names no grace of its own.
    """

    name: str
    config: type[C]
    plan: Callable[[C], Plan]
    is_so: Callable[[Facts, str], bool] = lambda _facts, _occurrence: True
    next: Callable[[C, datetime], datetime | None] | None = None
    grace_s: int = 86_400


#: What this release knows; a rule of another trigger is never due.
TRIGGERS: Registry[TriggerKind[Any]] = Registry("switchboard.automation.triggers", TriggerKind)
