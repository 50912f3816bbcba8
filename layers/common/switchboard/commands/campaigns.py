"""campaigns: a template to many people, and how far it has come."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import BeforeValidator, Field

from switchboard.campaigns import control, costs, drafts, people
from switchboard.campaigns.audience.kinds import Audience
from switchboard.campaigns.control import CampaignPause, CampaignSchedule, Retried
from switchboard.campaigns.costs import CampaignCost
from switchboard.campaigns.drafts import CampaignChange, CampaignFilter, NewCampaign, Shown
from switchboard.campaigns.parameters import Parameters
from switchboard.campaigns.people import Preview, PreviewFor, RecipientFilter
from switchboard.campaigns.times import Ramp, SendWindow
from switchboard.commands._given import as_object
from switchboard.commands._resource import Command, Resource
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.page import Page
from switchboard.store.campaigns import Campaign
from switchboard.store.recipients import Recipient
from switchboard.tools import Tools


class TheCampaign(Arguments):
    """One campaign."""

    campaign: UUID = Field(description="the campaign's id")


_Json = BeforeValidator(as_object)


class GivenCampaign(NewCampaign):
    """A campaign to make; objects as JSON, or @ and the path of a file."""

    template_params: Annotated[Parameters, _Json] = Field(
        default_factory=Parameters, description="where the template's values come from, as JSON"
    )
    audience: Annotated[Audience, _Json] = Field(
        description="as JSON, or @ and the path of a file; see docs/audiences.md"
    )
    send_window: Annotated[SendWindow | None, _Json] = Field(
        None, description="hours in which it sends, as JSON"
    )
    ramp: Annotated[Ramp | None, _Json] = Field(None, description="how fast it becomes, as JSON")


class Changing(CampaignChange, TheCampaign):
    """What to change about a campaign."""

    template_params: Annotated[Parameters | None, _Json] = Field(
        None, description="where the template's values come from, as JSON"
    )
    audience: Annotated[Audience | None, _Json] = Field(
        None, description="whom it reaches, as JSON"
    )
    send_window: Annotated[SendWindow | None, _Json] = Field(
        None, description="hours in which it sends, as JSON"
    )
    ramp: Annotated[Ramp | None, _Json] = Field(None, description="how fast it becomes, as JSON")


class Scheduling(CampaignSchedule, TheCampaign):
    """When a campaign begins."""


class Pausing(CampaignPause, TheCampaign):
    """A campaign to pause."""


class ItsRecipients(RecipientFilter, TheCampaign):
    """Recipients of a campaign."""


class Previewing(PreviewFor, TheCampaign):
    """Whose message of a campaign to show."""


def list_campaigns(tools: Tools, tenant_id: UUID, wanted: CampaignFilter) -> Page[Campaign]:
    """List campaigns, the newest first."""
    return drafts.list_campaigns(tools, tenant_id, wanted)


def create_campaign(tools: Tools, tenant_id: UUID, new: GivenCampaign) -> Shown:
    """Make a draft; nothing goes out yet."""
    return drafts.create_campaign(tools, tenant_id, new)


def show_campaign(tools: Tools, tenant_id: UUID, which: TheCampaign) -> Shown:
    """Show a campaign with its progress."""
    return drafts.show_campaign(tools, tenant_id, which.campaign)


def change_campaign(tools: Tools, tenant_id: UUID, change: Changing) -> Shown:
    """Change a campaign; after it began its description and limits alone."""
    given = change.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"campaign"})
    return drafts.change_campaign(
        tools, tenant_id, change.campaign, CampaignChange.model_validate(given)
    )


def schedule_campaign(tools: Tools, tenant_id: UUID, wanted: Scheduling) -> Shown:
    """Let a draft begin at its time."""
    when = CampaignSchedule(scheduled_at=wanted.scheduled_at, timezone=wanted.timezone)
    return control.schedule_campaign(tools, tenant_id, wanted.campaign, when)


def start_campaign(tools: Tools, tenant_id: UUID, which: TheCampaign) -> Shown:
    """Let a draft begin now."""
    return control.start_campaign(tools, tenant_id, which.campaign)


def pause_campaign(tools: Tools, tenant_id: UUID, wanted: Pausing) -> Shown:
    """Pause a campaign; what is on its way to Meta goes out."""
    return control.pause_campaign(
        tools, tenant_id, wanted.campaign, CampaignPause(note=wanted.note)
    )


def resume_campaign(tools: Tools, tenant_id: UUID, which: TheCampaign) -> Shown:
    """Let a paused campaign go on where it was."""
    return control.resume_campaign(tools, tenant_id, which.campaign)


def cancel_campaign(tools: Tools, tenant_id: UUID, which: TheCampaign) -> Shown:
    """End a campaign for good."""
    return control.cancel_campaign(tools, tenant_id, which.campaign)


def retry_failed(tools: Tools, tenant_id: UUID, which: TheCampaign) -> Retried:
    """Send again what has failed, and nothing else."""
    return control.retry_failed(tools, tenant_id, which.campaign)


def list_recipients(tools: Tools, tenant_id: UUID, which: ItsRecipients) -> Page[Recipient]:
    """List its recipients in the order of their turns."""
    wanted = RecipientFilter(limit=which.limit, cursor=which.cursor, status=which.status)
    return people.list_recipients(tools, tenant_id, which.campaign, wanted)


def show_cost(tools: Tools, tenant_id: UUID, which: TheCampaign) -> CampaignCost:
    """Show what a campaign will cost, and what it has cost."""
    return costs.show_cost(tools, tenant_id, which.campaign)


def show_preview(tools: Tools, tenant_id: UUID, which: Previewing) -> Preview:
    """Show what one person would get; nothing is sent."""
    return people.preview(tools, tenant_id, which.campaign, PreviewFor(contact_id=which.contact_id))


_ID = "--campaign 0d5f3c1e-6f0a-4c55-9d0b-1c8a52f0e0aa"
KIND = Resource(
    "campaigns",
    "campaigns: a template to many people",
    (
        Command(
            "list",
            CampaignFilter,
            list_campaigns,
            "--status sending",
            ("id", "name", "status", "template", "total_recipients", "created_at"),
        ),
        Command(
            "create",
            GivenCampaign,
            create_campaign,
            '--name "Spring" --from 106540352242922 --template offer --language en'
            """ --audience '{"type": "tagged", "tags": ["vip"]}'""",
        ),
        Command("show", TheCampaign, show_campaign, _ID),
        Command("change", Changing, change_campaign, f"{_ID} --failure-limit 10"),
        Command(
            "schedule",
            Scheduling,
            schedule_campaign,
            f"{_ID} --scheduled-at 2027-03-14T09:00 --timezone America/Mexico_City",
        ),
        Command("start", TheCampaign, start_campaign, _ID),
        Command("pause", Pausing, pause_campaign, _ID),
        Command("resume", TheCampaign, resume_campaign, _ID),
        Command("cancel", TheCampaign, cancel_campaign, _ID),
        Command("retry-failed", TheCampaign, retry_failed, _ID),
        Command(
            "recipients",
            ItsRecipients,
            list_recipients,
            f"{_ID} --status failed",
            ("position", "contact_id", "phone_number", "status", "reason", "message_id"),
        ),
        Command("cost", TheCampaign, show_cost, _ID),
        Command(
            "preview",
            Previewing,
            show_preview,
            f"{_ID} --contact-id 7c9e6679-7425-40de-944b-e07fc1f90ae7",
        ),
    ),
)
