"""Performs one run of an automation rule; put in by whoever started the run."""

from __future__ import annotations

from uuid import UUID

from switchboard import automation
from switchboard.jobs._kind import Args, Context, Effects, JobKind
from switchboard.kernel.db import Connection

TRIES = 8


class RunAutomation(Args):
    """The run."""

    run_id: UUID


def run(context: Context, args: RunAutomation) -> Effects:
    """Leave all of it to the transaction that completes the job."""

    def perform(connection: Connection) -> None:
        automation.perform(
            context.tools,
            connection,
            context.tenant_id,
            args.run_id,
            last_try=context.attempt >= TRIES,
        )

    return Effects(writes=(perform,))


KIND = JobKind(name="run_automation", args=RunAutomation, run=run, max_attempts=TRIES, needs_s=10.0)
