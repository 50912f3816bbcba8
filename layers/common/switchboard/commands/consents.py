"""consents: what people have agreed to and taken back."""

from __future__ import annotations

from uuid import UUID

from switchboard.commands._resource import Command, Resource
from switchboard.inbox import consents
from switchboard.inbox.consents import ConsentFilter, NewConsent
from switchboard.kernel.page import Page
from switchboard.store.consents import Consent
from switchboard.tools import Tools


def list_consents(tools: Tools, tenant_id: UUID, wanted: ConsentFilter) -> Page[Consent]:
    """List what people have agreed to and taken back, the newest first."""
    return consents.list_consents(tools, tenant_id, wanted)


def record_consent(tools: Tools, tenant_id: UUID, new: NewConsent) -> Consent:
    """Record what a person said elsewhere: at a counter, in a form, on a call."""
    return consents.record_consent(tools, tenant_id, new)


_ID = "--contact-id 0d5f3c1e-6f0a-4c55-9d0b-1c8a52f0e0aa"
KIND = Resource(
    "consents",
    "what people have agreed to and taken back",
    (
        Command(
            "list",
            ConsentFilter,
            list_consents,
            _ID,
            ("occurred_at", "contact_id", "scope", "state", "source", "wording"),
        ),
        Command(
            "record",
            NewConsent,
            record_consent,
            '--phone +4915550000001 --state given --wording "signed form of 3 May, shop in Lima"',
        ),
    ),
)
