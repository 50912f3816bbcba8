"""What the policy says of a mail, as its row keeps it."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from switchboard.kernel.db import Connection
from switchboard.kernel.email_address import check_address
from switchboard.kernel.phones import digits
from switchboard.kernel.settings import Settings
from switchboard.policy import Allowed, Deferred, Facts, Kind, Verdict, person_of
from switchboard.policy.email import SUPPRESSED, Mailing, decide_email
from switchboard.policy.verdict import category_of
from switchboard.store import emails as store
from switchboard.store.emails import Asked

#: After which a mail whose tenant is stopped is looked at again.
LOOK_AGAIN = timedelta(minutes=5)


class NoAddress(Exception):
    """The contact has no address that a mail can go to; `args` holds the reason."""


def ask(
    connection: Connection, tenant_id: UUID, contact_id: UUID, *, now: datetime | None
) -> tuple[Asked, str] | None:
    """Return what is known of a contact and the address that mails for it go to.

    None where there is no such contact. Raises NoAddress.
    """
    known = store.ask(connection, tenant_id, contact_id, now=now)
    if known is None:
        return None
    if known.email is None:
        raise NoAddress("no_email_address")
    try:
        address = check_address(known.email)
    except ValueError:
        raise NoAddress("bad_email_address") from None
    if address.lower() != known.email.lower():
        # Its domain is written in another way: what is kept of the address counts.
        known = store.ask(connection, tenant_id, contact_id, address=address, now=now)
        assert known is not None
    return known, address


def judge(
    settings: Settings,
    known: Asked,
    *,
    category: str,
    notification_category: str | None,
    expires_at: datetime,
) -> Verdict:
    """Return the verdict on a mail."""
    kind = Kind(category)
    facts = Facts(
        at=known.at,
        tenant_active=known.tenant_active,
        tenant_stopped=known.tenant_stopped,
        is_blocked=known.is_blocked,
        # A staging system's allow-list names numbers: a mail goes to who has one of them.
        recipient=digits(known.phone_number or "") or "",
        allow_list=settings.recipient_allow_list,
        expires_at=expires_at,
        notification_category=category_of(notification_category, kind),
        person=person_of(known.person),
        # WhatsApp's alone: no gate of a mail looks at them.
        number_active=True,
        number_status="",
        number_stopped=False,
        has_token=True,
        window_expires_at=None,
    )
    mailing = Mailing(
        has_sender=known.email_from is not None,
        withdrawn=known.withdrawn,
        suppressed=known.suppressed,
    )
    return decide_email(facts, mailing, kind)


def status_of(verdict: Verdict, at: datetime) -> tuple[str, datetime]:
    """Return the status of a mail that nobody has begun to send, and when it is due."""
    if isinstance(verdict, Allowed):
        return "pending", at
    if isinstance(verdict, Deferred):
        return "pending", verdict.until or at + LOOK_AGAIN
    return ("suppressed" if verdict.reason in SUPPRESSED.values() else "denied"), at
