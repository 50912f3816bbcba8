"""What a history is made of: a road, a fault, a disturbance at a boundary, an order of webhooks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tests.crash.meta import Fault
from tests.crash.webhooks import Webhooks


class Road(StrEnum):
    """Who sends."""

    #: A caller with an idempotency key.
    CALLER = "caller"
    #: A caller with three, the first and the last to one person.
    BATCH = "batch"
    #: A worker what a job has queued.
    WORKER = "worker"
    #: A job stores the message as its effect.
    QUEUE = "queue"
    #: A worker sends once more what is in doubt.
    RESEND = "resend"


class Then(StrEnum):
    """What happens at the boundary."""

    CRASH = "crash"
    #: Another worker, and the caller once more, while the first stands still for a moment.
    SECOND = "second"
    #: The same when its lease is over.
    SECOND_LATE = "second-late"


@dataclass(frozen=True)
class Case:
    """A history to be run.

    `prior`: of RESEND, how the first attempt failed. `resend`: the number sends once more what is
    in doubt. `watermark`: a later message of the number gets a status, so webhooks do arrive.
    """

    road: Road = Road.CALLER
    fault: Fault = Fault.NONE
    webhooks: Webhooks = Webhooks.AFTER
    point: int | None = None
    then: Then = Then.CRASH
    prior: Fault | None = None
    resend: bool = False
    watermark: bool = True

    def __str__(self) -> str:
        prior = f"{self.prior}, then " if self.prior else ""
        policy = ", one resend" if self.resend else ""
        return (
            f"{self.road}, {self.then} at {self.point}, {prior}{self.fault},"
            f" webhooks {self.webhooks}{policy}"
        )


#: Boundaries of an undisturbed run, in order, each before and after: ask, reserve, request, settle;
#: of three messages both slices; claim, load, intent, request, claim of more, settle, last claim;
#: ask, reserve, commit; sweep, recover, and the worker's.
POINTS = {Road.CALLER: 8, Road.BATCH: 18, Road.WORKER: 14, Road.QUEUE: 6, Road.RESEND: 18}
