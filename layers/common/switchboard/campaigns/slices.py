"""One slice: the next recipients' messages, decided and stored as a batch of the API's is."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from switchboard import outbox
from switchboard.campaigns.costs import unit_prices
from switchboard.campaigns.parameters import Missing, Parameters, Person, message_of
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import ProblemError
from switchboard.outbox import Answer, Origin, Outgoing
from switchboard.outbox.wire import check
from switchboard.store import recipients
from switchboard.store.campaigns import Running
from switchboard.store.recipients import Marked, Next
from switchboard.tools import Tools


@dataclass(frozen=True, slots=True)
class Slice:
    """How many recipients had their turn, what that adds to the campaign's estimate, in its
    currency, and whether the next one's message would be beyond its cap."""

    taken: int
    cost: Decimal
    is_spent: bool


def store_slice(
    tools: Tools,
    connection: Connection,
    tenant_id: UUID,
    campaign: Running,
    parameters: Parameters,
    *,
    limit: int,
) -> Slice:
    """Store the messages of the next recipients in the open transaction.

    Who lacks a value, or cannot be written to at all, is skipped with the reason. The policy
    decides on each message as on any other.
    """
    people = recipients.take(connection, tenant_id, campaign.id, limit=limit)
    retried = [one.contact_id for one in people if one.previous_message_id is not None]
    arrived = set[UUID]()
    if retried:
        arrived = recipients.take_back(
            connection, tenant_id, campaign.id, retried, now=campaign.now
        )
    unit = unit_prices(
        connection, tenant_id, campaign, {one.contact.get("phone_number") for one in people}
    )
    # What failed before has cost nothing: its price was counted, and goes.
    before = {
        one.contact_id: one.estimated_price or Decimal(0)
        for one in people
        if one.previous_message_id is not None
    }
    left = None if campaign.spending_cap is None else campaign.spending_cap - campaign.spent
    marked: list[Marked] = []
    waiting: list[tuple[UUID, Decimal | None]] = []
    items: list[Outgoing] = []
    taken, is_spent = 0, False
    for one in people:
        made = None if one.contact_id in arrived else _outgoing(campaign, parameters, one)
        if isinstance(made, Marked):
            marked.append(made)
        elif made is not None:
            price = unit.get(one.contact.get("phone_number"))
            if left is not None:
                left -= (price or Decimal(0)) - before.get(one.contact_id, Decimal(0))
                if left < 0:
                    is_spent = True
                    break
            waiting.append((one.contact_id, price))
            items.append(made)
        taken += 1
    if items:
        answers = outbox.queue(tools, connection, tenant_id, items)
        marked += [
            _marked(contact_id, price, answer)
            for (contact_id, price), answer in zip(waiting, answers, strict=True)
        ]
    if marked:
        recipients.mark(connection, tenant_id, campaign.id, marked, now=campaign.now)
    cost = Decimal(0)
    for done in marked:
        cost += (done.price or Decimal(0)) - before.get(done.contact_id, Decimal(0))
    return Slice(taken, cost, is_spent)


def _outgoing(campaign: Running, parameters: Parameters, one: Next) -> Outgoing | Marked:
    if one.is_deleted:
        return Marked(one.contact_id, "skipped", "contact_deleted")
    if one.is_double:
        return Marked(one.contact_id, "skipped", "merged")
    person = Person(one.contact, one.variables)
    try:
        message, warnings = check(
            message_of(parameters, campaign.template, campaign.language, person)
        )
    except Missing as missing:
        return Marked(one.contact_id, "skipped", f"missing: {missing}")
    except ProblemError as problem:
        return Marked(one.contact_id, "skipped", _short(problem.detail))
    return Outgoing(
        phone_number_id=campaign.phone_number_id,
        contact_id=person.id,
        message=message,
        warnings=warnings,
        category=(campaign.category or "marketing").lower(),
        notification_category=campaign.notification_category,
        origin=Origin.CAMPAIGN,
        origin_id=campaign.id,
    )


def _marked(contact_id: UUID, price: Decimal | None, answer: Answer) -> Marked:
    body = answer.body
    if "id" not in body:
        # Nothing is stored of it: no address, a value that does not fit.
        return Marked(contact_id, "skipped", _short(str(body.get("detail", "not stored"))))
    message_id = UUID(str(body["id"]))
    if answer.status < 400:
        return Marked(contact_id, "queued", None, message_id, price)
    reason = (body.get("decision") or {}).get("reason")
    return Marked(contact_id, str(body["message_status"]), reason, message_id)


def _short(text: str) -> str:
    return text[:200]
