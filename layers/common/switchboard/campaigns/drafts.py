"""Campaigns as people write them: made, shown, changed until they begin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from switchboard.campaigns.audience.counts import require_known
from switchboard.campaigns.audience.kinds import Audience
from switchboard.campaigns.parameters import Parameters, Sample, message_of
from switchboard.campaigns.progress import Progress, progress_of
from switchboard.campaigns.times import Moment, Ramp, SendWindow, Zone, instant
from switchboard.campaigns.words import SENTENCES
from switchboard.kernel.arguments import Arguments, read
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import Conflict, NotFound, Unprocessable
from switchboard.kernel.page import Page, Paged, page_of, read_moment
from switchboard.outbox.wire import check
from switchboard.policy import CATEGORIES
from switchboard.store import campaigns as store
from switchboard.store.campaigns import Campaign, Parts
from switchboard.tools import Tools
from switchboard.transact import transact

Status = Literal["draft", "scheduled", "sending", "paused", "completed", "cancelled"]


def _category(name: str) -> str:
    if name not in CATEGORIES:
        raise ValueError(f"must be one of {', '.join(CATEGORIES)}")
    return name


_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
_Number = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,50}$")]
_Template = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,512}$")]
_Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}([_-][A-Za-z]{2,4})?$")]
_Category = Annotated[str, AfterValidator(_category)]
_Money = Annotated[Decimal, Field(gt=0, le=1_000_000_000, decimal_places=4)]
_Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
_Percent = Annotated[int, Field(ge=1, le=100)]


class NewCampaign(Arguments):
    """A campaign, as a draft: nothing goes out before it is scheduled or started."""

    name: _Name = Field(description="what people call it")
    description: str | None = Field(None, max_length=500, description="what it is for")
    from_: _Number = Field(alias="from", description="the number it sends from, as Meta's id")
    template: _Template = Field(description="the template's name")
    language: _Language = Field("en", description="the template's language, such as es_MX")
    template_params: Parameters = Field(
        default_factory=Parameters, description="where the template's values come from"
    )
    notification_category: _Category | None = Field(
        None, description="what people may have switched off; left out: marketing, for marketing"
    )
    audience: Audience = Field(description="whom it reaches, as in docs/audiences.md")
    timezone: Zone = Field("UTC", description="of its schedule and its send window")
    scheduled_at: Moment | None = Field(
        None, description="when it begins, once it is scheduled: with an offset, or by its zone"
    )
    send_window: SendWindow | None = Field(None, description="hours of the day in which it sends")
    ramp: Ramp | None = Field(None, description="how fast it may become; left out: no limit")
    failure_limit: _Percent | None = Field(
        20, description="percent of known outcomes that may be failures, from a hundred outcomes on"
    )
    spending_cap: _Money | None = Field(None, description="pauses it there; by estimated prices")
    currency: _Currency | None = Field(None, description="of spending_cap and estimated cost")

    @model_validator(mode="after")
    def _money_of_something(self) -> NewCampaign:
        if self.spending_cap is not None and self.currency is None:
            raise ValueError("spending_cap needs a currency")
        return self


class CampaignChange(Arguments):
    """What to change; what is left out stays. After it began: description and limits alone."""

    name: _Name | None = Field(None, description="what people call it")
    description: str | None = Field(None, max_length=500, description="what it is for")
    from_: _Number | None = Field(None, alias="from", description="the number it sends from")
    template: _Template | None = Field(None, description="the template's name")
    language: _Language | None = Field(None, description="the template's language")
    template_params: Parameters | None = Field(None, description="where its values come from")
    notification_category: _Category | None = Field(None, description="what people switch off")
    audience: Audience | None = Field(None, description="whom it reaches")
    timezone: Zone | None = Field(None, description="of its schedule and its send window")
    scheduled_at: Moment | None = Field(None, description="when it begins")
    send_window: SendWindow | None = Field(None, description="hours in which it sends; null: all")
    ramp: Ramp | None = Field(None, description="how fast it may become; null: no limit")
    failure_limit: _Percent | None = Field(None, description="percent of failures; null: no limit")
    spending_cap: _Money | None = Field(None, description="pauses it there; null: no cap")
    currency: _Currency | None = Field(None, description="of spending_cap and estimated cost")


#: Of one that has begun.
_LATE = frozenset({"description", "send_window", "ramp", "failure_limit", "spending_cap"})


class CampaignFilter(Paged):
    """Which campaigns."""

    status: Status | None = Field(
        None, description="draft, scheduled, sending, paused, completed or cancelled; left out: all"
    )


@dataclass(frozen=True, slots=True)
class Shown:
    """A campaign, why it is paused in words, and how far it has come."""

    campaign: Campaign
    what_to_do: str | None
    progress: Progress


def list_campaigns(tools: Tools, tenant_id: UUID, wanted: CampaignFilter) -> Page[Campaign]:
    """Return campaigns, the newest first; the counts of each are those of its last completion."""

    def find(connection: Connection) -> Page[Campaign]:
        rows = store.list_campaigns(
            connection,
            tenant_id,
            status=wanted.status,
            before=read_moment("campaigns", wanted),
            limit=wanted.limit + 1,
        )
        return page_of("campaigns", wanted, rows, lambda last: (last.created_at, last.id))

    return transact(tools, tenant_id, find)


def show_campaign(tools: Tools, tenant_id: UUID, campaign_id: UUID) -> Shown:
    """Return a campaign with its progress, counted now. Raises NotFound."""
    return transact(
        tools, tenant_id, lambda connection: show(tools, connection, tenant_id, campaign_id)
    )


def create_campaign(tools: Tools, tenant_id: UUID, new: NewCampaign) -> Shown:
    """Make a draft.

    Raises NotFound for the number, Unprocessable that names the member which does not fit.
    """
    campaign_id = tools.clock.new_id()  # named once: the work may run twice

    def write(connection: Connection) -> Shown:
        columns = _columns(connection, tenant_id, new)
        store.insert(connection, tenant_id, campaign_id, columns, now=tools.clock.now)
        return show(tools, connection, tenant_id, campaign_id)

    return transact(tools, tenant_id, write)


def change_campaign(
    tools: Tools, tenant_id: UUID, campaign_id: UUID, change: CampaignChange
) -> Shown:
    """Change a campaign.

    Raises as `create_campaign` does, NotFound, and Conflict for one that has ended or, naming the
    member, one that has begun.
    """

    def write(connection: Connection) -> Shown:
        locked = lock(tools, connection, tenant_id, campaign_id)
        if locked.status in {"completed", "cancelled"}:
            raise Conflict(f"the campaign is {locked.status}")
        late = sorted(change.model_fields_set - _LATE)
        if locked.status in {"sending", "paused"} and late:
            raise Conflict(
                "this cannot be changed any more: the campaign has begun",
                field=late[0].rstrip("_"),
            )
        before = _given(_find(connection, tenant_id, campaign_id))
        changed = change.model_dump(mode="json", by_alias=True, exclude_unset=True)
        whole = read(NewCampaign, {**before, **changed})
        columns = _columns(connection, tenant_id, whole)
        if locked.status == "scheduled" and "scheduled_at" in changed:
            require_ahead(columns["scheduled_at"], locked.now)
        store.update(connection, tenant_id, campaign_id, columns, now=tools.clock.now)
        if locked.status in {"scheduled", "sending"}:
            at = columns["scheduled_at"] if locked.status == "scheduled" else None
            store.wake(connection, tenant_id, campaign_id, at=at, now=tools.clock.now)
        return show(tools, connection, tenant_id, campaign_id)

    return transact(tools, tenant_id, write)


def require_ahead(at: datetime | None, now: datetime) -> datetime:
    """Return `at`. Raises Unprocessable where a campaign would begin at once, unasked."""
    if at is None:
        raise Unprocessable("scheduled_at must be given", field="scheduled_at")
    if at <= now:
        raise Unprocessable("scheduled_at is over; start it instead", field="scheduled_at")
    return at


def show(tools: Tools, connection: Connection, tenant_id: UUID, campaign_id: UUID) -> Shown:
    """Return a campaign as it is shown. Raises NotFound."""
    found = _find(connection, tenant_id, campaign_id)
    reason = found.pause_reason
    return Shown(
        found,
        None if reason is None else SENTENCES.get(reason),
        progress_of(tools, connection, tenant_id, found),
    )


def lock(tools: Tools, connection: Connection, tenant_id: UUID, campaign_id: UUID) -> store.Running:
    """Return a campaign that is ours until the commit. Raises NotFound."""
    locked = store.lock(connection, tenant_id, campaign_id, now=tools.clock.now)
    if locked is None:
        raise _unknown()
    return locked


def require_fit(
    parts: Parts | store.Running, parameters: Parameters, template: str, language: str
) -> None:
    """Raise Unprocessable, or InvalidMessage that names the part, where Meta would refuse it."""
    message = message_of(parameters, template, language, Sample())
    checked, _ = check(message)
    if parts.components:
        from switchboard.whatsapp.templates import Definition
        from switchboard.whatsapp.templates import check as fits

        fits(
            Definition.of(
                {"parameter_format": parts.parameter_format, "components": parts.components}
            ),
            checked,
        )


def _find(connection: Connection, tenant_id: UUID, campaign_id: UUID) -> Campaign:
    found = store.find(connection, tenant_id, campaign_id)
    if found is None:
        raise _unknown()
    return found


def _unknown() -> NotFound:
    return NotFound("this campaign is not known")


def _given(campaign: Campaign) -> dict[str, Any]:
    """Return a stored campaign as it was asked for."""
    return {
        "name": campaign.name,
        "description": campaign.description,
        "from": campaign.phone_number_id,
        "template": campaign.template,
        "language": campaign.language,
        "template_params": campaign.template_params,
        "notification_category": campaign.notification_category,
        "audience": {"type": campaign.audience_type, **campaign.audience_config},
        "timezone": campaign.timezone,
        "scheduled_at": campaign.scheduled_at and campaign.scheduled_at.isoformat(),
        "send_window": campaign.send_window,
        "ramp": campaign.ramp,
        "failure_limit": campaign.failure_limit,
        "spending_cap": campaign.spending_cap and str(campaign.spending_cap),
        "currency": campaign.currency,
    }


def _columns(connection: Connection, tenant_id: UUID, wanted: NewCampaign) -> dict[str, Any]:
    """Return the row of what was asked for; its list is kept from being deleted."""
    language = wanted.language.replace("-", "_")
    parts = store.find_parts(
        connection,
        tenant_id,
        number=wanted.from_,
        template=wanted.template,
        language=language,
    )
    if parts is None:
        raise NotFound("this number is not known", field="from")
    if parts.template_id is None:
        raise Unprocessable(
            "the number's account has no stored template of this name and language; sync them",
            field="template",
        )
    if (parts.category or "").lower() == "authentication":
        raise Unprocessable("a code is nobody's to send to many", field="template")
    require_fit(parts, wanted.template_params, wanted.template, language)
    require_known(connection, tenant_id, wanted.audience)
    audience = wanted.audience.model_dump(mode="json", by_alias=True)
    try:
        at = wanted.scheduled_at and instant(wanted.scheduled_at, wanted.timezone)
    except OverflowError:
        raise Unprocessable(
            "scheduled_at is outside the years 1 to 9999 of UTC", field="scheduled_at"
        ) from None
    return {
        "account_id": parts.account_id,
        "name": wanted.name,
        "description": wanted.description,
        "template_id": parts.template_id,
        "template_params": wanted.template_params.model_dump(mode="json"),
        "notification_category": wanted.notification_category,
        "audience_type": audience.pop("type"),
        "audience_config": audience,
        "timezone": wanted.timezone,
        "scheduled_at": at,
        "send_window": _document(wanted.send_window),
        "ramp": _document(wanted.ramp),
        "failure_limit": wanted.failure_limit,
        "spending_cap": wanted.spending_cap,
        "currency": wanted.currency,
    }


def _document(model: Arguments | None) -> dict[str, Any] | None:
    return None if model is None else model.model_dump(mode="json", by_alias=True)
