"""Whom a campaign writes to: its recipients, and what one person would get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from switchboard import outbox
from switchboard.campaigns.parameters import Missing, Parameters, Person, message_of
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import NotFound
from switchboard.kernel.page import Page, Paged, page_of, read_cursor, refused
from switchboard.outbox import Origin, Outgoing
from switchboard.outbox.wire import check
from switchboard.store import campaigns as store
from switchboard.store import recipients
from switchboard.store.recipients import STATUSES, Recipient
from switchboard.tools import Tools
from switchboard.transact import transact

RecipientStatus = Literal[
    "pending",
    "skipped",
    "queued",
    "unconfirmed",
    "undetermined",
    "sent",
    "delivered",
    "read",
    "failed",
    "denied",
    "expired",
    "cancelled",
]


class RecipientFilter(Paged):
    """Which recipients of a campaign."""

    status: RecipientStatus | None = Field(
        None, description="as in docs/campaigns.md; left out: all of them"
    )


class PreviewFor(Arguments):
    """Whose message to show."""

    contact_id: UUID = Field(description="the contact's id")


@dataclass(frozen=True, slots=True)
class Preview:
    """What a person would get now.

    `message` is Meta's object, `text` what it reads like as far as the template is stored;
    `missing` names the value that keeps it from being made. `verdict` is what the sending policy
    says: allowed, denied or deferred, with its `decision`; None where there is no message.
    """

    contact_id: UUID
    message: dict[str, Any] | None
    text: str | None
    missing: str | None
    verdict: str | None
    decision: dict[str, Any] | None


def list_recipients(
    tools: Tools, tenant_id: UUID, campaign_id: UUID, wanted: RecipientFilter
) -> Page[Recipient]:
    """Return recipients in the order of their turns. Raises NotFound."""
    name = f"campaigns/{campaign_id}/recipients"

    def read(connection: Connection) -> Page[Recipient]:
        if store.find(connection, tenant_id, campaign_id) is None:
            raise NotFound("this campaign is not known")
        after = read_cursor(name, wanted, 1)
        rows = recipients.list_recipients(
            connection,
            tenant_id,
            campaign_id,
            statuses=STATUSES if wanted.status is None else (wanted.status,),
            after=0 if after is None else _position(after[0]),
            limit=wanted.limit + 1,
        )
        return page_of(name, wanted, rows, lambda last: (str(last.position),))

    return transact(tools, tenant_id, read)


def _position(part: str | None) -> int:
    if part is None or not part.isascii() or not part.isdigit() or len(part) > 9:
        raise refused()
    return int(part)


def preview(tools: Tools, tenant_id: UUID, campaign_id: UUID, wanted: PreviewFor) -> Preview:
    """Return what a contact would get of a campaign; nothing is stored, nothing is sent.

    Raises NotFound for the campaign and for the contact.
    """

    def read(connection: Connection) -> tuple[store.Campaign, store.Parts, Person]:
        campaign = store.find(connection, tenant_id, campaign_id)
        if campaign is None:
            raise NotFound("this campaign is not known")
        list_id = campaign.audience_config.get("list_id")
        found = recipients.contact(
            connection,
            tenant_id,
            wanted.contact_id,
            list_id=None if list_id is None else UUID(str(list_id)),
        )
        if found is None:
            raise NotFound("this contact is not known", field="contact_id")
        parts = store.find_parts(
            connection,
            tenant_id,
            number=campaign.phone_number_id,
            template=campaign.template,
            language=campaign.language,
        )
        assert parts is not None
        return campaign, parts, Person(*found)

    campaign, parts, person = transact(tools, tenant_id, read)
    parameters = Parameters.model_validate(campaign.template_params)
    try:
        message = message_of(parameters, campaign.template, campaign.language, person)
    except Missing as missing:
        return Preview(person.id, None, None, str(missing), None, None)
    message, warnings = check(message)
    answer = outbox.rehearse(
        tools,
        tenant_id,
        Outgoing(
            phone_number_id=campaign.phone_number_id,
            contact_id=person.id,
            message=message,
            warnings=warnings,
            category=(parts.category or "marketing").lower(),
            notification_category=campaign.notification_category,
            origin=Origin.CAMPAIGN,
            origin_id=campaign.id,
        ),
    )
    decision = answer.body.get("decision")
    verdict = str(answer.body["status"]) if decision else "denied"
    if not decision:
        # Nothing could be stored of it: no address, say.
        decision = {"verdict": "denied", "reason": str(answer.body.get("detail"))}
    return Preview(person.id, message, _text(parts, message), None, verdict, decision)


def _text(parts: store.Parts, message: dict[str, Any]) -> str | None:
    if not parts.components:
        return None
    from switchboard.whatsapp.templates import Definition, render

    stored = {"parameter_format": parts.parameter_format, "components": parts.components}
    return render(Definition.of(stored), message).text
