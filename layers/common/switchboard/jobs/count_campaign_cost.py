"""Counts what Meta takes for the messages of a large campaign, when somebody has asked for it."""

from __future__ import annotations

from uuid import UUID

from switchboard.campaigns.counting import go_on
from switchboard.jobs._kind import Args, Context, Effects, JobKind
from switchboard.jobs._slow import own_trouble
from switchboard.kernel.errors import Snooze


class CountCampaignCost(Args):
    """The campaign."""

    campaign_id: UUID


def run(context: Context, args: CountCampaignCost) -> Effects:
    """Count for a turn; each slice is committed with the place that it came to."""
    with own_trouble():
        again_at = go_on(context.tools, context.tenant_id, args.campaign_id, context.deadline)
    if again_at is None:
        return Effects()
    raise Snooze(again_at)


KIND = JobKind(name="count_campaign_cost", args=CountCampaignCost, run=run)
