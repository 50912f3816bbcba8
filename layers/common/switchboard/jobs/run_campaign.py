"""Works for one campaign: begins it, feeds the road, ends it. One at a time, by its lane."""

from __future__ import annotations

from uuid import UUID

from switchboard.campaigns.feeding import run_campaign
from switchboard.jobs._kind import Args, Context, Effects, JobKind
from switchboard.jobs._slow import own_trouble
from switchboard.kernel.errors import Snooze


class RunCampaign(Args):
    """The campaign."""

    campaign_id: UUID


def run(context: Context, args: RunCampaign) -> Effects:
    """Do what is due and come again; what it writes it commits itself, step by step.

    A second run, or one that was killed in between, finds each step done or not done.
    """
    with own_trouble():
        step = run_campaign(context.tools, context.tenant_id, args.campaign_id, context.deadline)
    if step.over:
        return Effects()
    assert step.again_at is not None
    raise Snooze(step.again_at)


KIND = JobKind(name="run_campaign", args=RunCampaign, run=run)
