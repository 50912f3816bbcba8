"""Outside events: an internal service says what happened, by direct invocation."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated
from uuid import UUID, uuid5

from pydantic import StringConstraints

from switchboard.automation.triggers.event import Name
from switchboard.kernel import phones
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import NotFound
from switchboard.kernel.log import log
from switchboard.store import automations as store
from switchboard.tools import Tools
from switchboard.transact import transact

#: Subjects that are no trip and no booking have ids under this one.
_OTHERS = UUID("6f1d3a52-6f0a-5d0c-9a55-0d5a3cf5a001")
_Word = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class OutsideEvent(Arguments):
    """What happened, to what and to whom, and which time it was.

    `event` is a tenant's own name, or booking_pending or budget_exceeded: then the rules of these
    triggers start too. `subject` is the id that the service has for a trip or a booking (or has for
    anything else), `contact` an id of ours or a phone number. Without `occurrence` each telling is
    one of its own; of a pending booking and of a budget that is above it is the one that was
    planned.
    """

    event: Name
    subject: _Word | None = None
    contact: _Word | None = None
    occurrence: _Word | None = None


def start(tools: Tools, tenant_id: UUID, told: OutsideEvent, *, telling: str | None = None) -> int:
    """Start the rules of `tenant_id` that listen to an event; return how many runs were started.

    `telling` names this invocation: one that is repeated starts nothing again. Raises NotFound for
    a tenant that is unknown or disabled, and for a contact that is not known.
    """
    this = telling or str(tools.clock.new_id())

    def write(connection: Connection) -> int:
        if not store.is_tenant_active(connection, tenant_id):
            raise NotFound("this tenant is not known", field="tenant_id")
        store.hold_facts(connection, tenant_id)
        subject = told.subject and store.find_subject(connection, tenant_id, told.subject)
        contact_id = subject.contact_id if subject else None
        if told.contact is not None:
            contact_id = _find_contact(connection, tenant_id, told.contact)
        other = uuid5(_OTHERS, f"{tenant_id} {told.subject}") if told.subject else None
        return store.start_event(
            connection,
            tenant_id,
            told.event,
            subject=subject or None,
            subject_id=subject.id if subject else other,
            contact_id=contact_id,
            occurrence=told.occurrence,
            told=this,
            now=tools.clock.now,
        )

    started = transact(tools, tenant_id, write)
    if started:
        tools.nudge()
    log.info("automation.event", tenant_id=tenant_id, outside=told.event[:50], started=started)
    return started


def _find_contact(connection: Connection, tenant_id: UUID, contact: str) -> UUID:
    """Return the contact that a service names by a phone number or an id; raises NotFound."""
    found = None
    with suppress(ValueError):  # what can be nobody's is nobody's
        digits, contact_id = phones.recipient(contact)
        phone = phones.national_variant(digits) if digits else None
        found = store.find_contact(connection, tenant_id, contact_id, phone)
    if found is None:
        raise NotFound("this contact is not known", field="contact")
    return found
