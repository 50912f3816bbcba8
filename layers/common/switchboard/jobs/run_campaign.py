"""Works for one campaign: begins it, feeds the road, ends it. One at a time, by its lane."""

from __future__ import annotations

from uuid import UUID

from psycopg import errors as pg

from switchboard.campaigns.feeding import run_campaign
from switchboard.jobs._kind import Args, Context, Effects, JobKind
from switchboard.kernel.errors import Snooze, Unavailable


class RunCampaign(Args):
    """The campaign."""

    campaign_id: UUID


def run(context: Context, args: RunCampaign) -> Effects:
    """Do what is due and come again; what it writes it commits itself, step by step.

    A second run, or one that was killed in between, finds each step done or not done.
    """
    try:
        step = run_campaign(context.tools, context.tenant_id, args.campaign_id, context.deadline)
    except Unavailable as error:
        if isinstance(error.__cause__, pg.QueryCanceled | pg.LockNotAvailable):
            # The database is there: this campaign's trouble must not stop the worker.
            raise TimeoutError("a step of the campaign took too long") from error
        raise
    if step.over:
        return Effects()
    assert step.again_at is not None
    raise Snooze(step.again_at)


KIND = JobKind(name="run_campaign", args=RunCampaign, run=run)
