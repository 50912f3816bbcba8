"""What pauses a campaign by itself, looked at before each slice."""

from __future__ import annotations

from collections.abc import Mapping

from switchboard.campaigns.drafts import require_fit
from switchboard.campaigns.parameters import Parameters
from switchboard.campaigns.progress import outcomes
from switchboard.campaigns.words import (
    FAILURE_SHARE,
    NUMBER_QUALITY,
    NUMBER_UNUSABLE,
    TEMPLATE_CHANGED,
    TEMPLATE_PAUSED,
    TEMPLATE_UNUSABLE,
)
from switchboard.kernel.errors import ProblemError
from switchboard.store.campaigns import Running

#: Known outcomes from which on the share of failures says something.
ENOUGH = 100
#: What the policy would deny every message for, each by itself.
_OFF = frozenset({"disconnected", "suspended"})


def trouble(campaign: Running, counts: Mapping[str, int] | None) -> tuple[str, str] | None:
    """Return why the campaign must pause, with the figures; None: it may go on.

    `counts`: recipients by state, where they have been counted a moment ago: the share of failures
    is looked at then.
    """
    status = (campaign.template_status or "").upper()
    if status == "PAUSED":
        return TEMPLATE_PAUSED, f"template {campaign.template}"
    if status != "APPROVED":
        told = status or "not known in the number's account"
        return TEMPLATE_UNUSABLE, f"template {campaign.template} is {told}"
    try:
        require_fit(
            campaign,
            Parameters.model_validate(campaign.template_params),
            campaign.template,
            campaign.language,
        )
    except ProblemError as problem:
        return TEMPLATE_CHANGED, problem.detail[:500]
    if not campaign.number_active or campaign.number_status in _OFF or not campaign.has_token:
        return NUMBER_UNUSABLE, f"number {campaign.phone_number_id} is {_state(campaign)}"
    if campaign.quality_rating.upper() == "RED":
        return NUMBER_QUALITY, f"number {campaign.phone_number_id} is rated RED"
    if counts is not None and campaign.failure_limit is not None:
        known, failed = outcomes(counts)
        known -= campaign.outcomes_before
        failed -= campaign.failures_before
        if known >= ENOUGH and failed * 100 > campaign.failure_limit * known:
            return FAILURE_SHARE, f"{failed} of {known} failed"
    return None


def _state(campaign: Running) -> str:
    if not campaign.number_active:
        return "disabled"
    return "without a token" if not campaign.has_token else campaign.number_status
