"""Asks the agent of an automation's run, and does what it says; put in by the run."""

from __future__ import annotations

from uuid import UUID

from switchboard.jobs._kind import Args, Context, Effects, JobKind
from switchboard.kernel.db import Connection

TRIES = 5


class AskAgent(Args):
    """The run."""

    run_id: UUID


def run(context: Context, args: AskAgent) -> Effects:
    """Ask; what was said goes out in the transaction that completes the job."""
    # Few rules ask agents: no cold start pays for them.
    from switchboard.automation import agent_runs

    last_try = context.attempt >= TRIES
    answer = agent_runs.ask(context.tools, context.tenant_id, args.run_id, last_try=last_try)

    def conclude(connection: Connection) -> None:
        agent_runs.conclude(
            context.tools,
            connection,
            context.tenant_id,
            args.run_id,
            answer,
            last_try=last_try,
        )

    return Effects(writes=(conclude,))


KIND = JobKind(name="ask_agent", args=AskAgent, run=run, max_attempts=TRIES, needs_s=30.0)
