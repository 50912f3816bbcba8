"""Puts a mail in: written out, decided, and with the job that sends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID

from switchboard.kernel.db import Connection
from switchboard.mail.render import Missing, TooLong, render
from switchboard.mail.verdict import NoAddress, ask, judge, status_of
from switchboard.policy import Allowed, Deferred
from switchboard.policy.verdict import document
from switchboard.store import email_templates, jobs
from switchboard.store import emails as store
from switchboard.store.emails import NewEmail
from switchboard.tools import Tools

#: How long a mail may wait (for the end of quiet hours, for SES) where nobody says otherwise.
EXPIRES_IN = timedelta(days=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail that somebody wants to send: a template of the tenant's own, and its values."""

    contact_id: UUID
    template: str
    language: str
    values: Mapping[str, str]
    category: Literal["utility", "marketing"]
    notification_category: str | None = None
    expires_in: timedelta | None = None
    rule_id: UUID | None = None
    run_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Queued:
    """What became of it. `email_id` None: there is no mail, for `reason`.

    `status` is the mail's; refused where nothing could be written.
    """

    status: str
    reason: str | None = None
    email_id: UUID | None = None


def queue(tools: Tools, connection: Connection, tenant_id: UUID, mail: Mail) -> Queued:
    """Put a mail in, in the open transaction of its tenant, which holds contacts already.

    What the policy denies is kept with its reason, and is no error.
    """
    now = tools.clock.now
    template = email_templates.find_named(connection, tenant_id, mail.template, mail.language)
    if template is None:
        return Queued("refused", f"the e-mail template {mail.template} is not known")
    try:
        found = ask(connection, tenant_id, mail.contact_id, now=now)
        texts = render(template.subject, template.text_body, template.html_body, mail.values)
    except NoAddress as none:
        return Queued("no_address", str(none))
    except Missing as missing:
        return Queued("refused", f"the template asks for {missing}, which is not given")
    except TooLong:
        return Queued("refused", "the mail is too long with these values")
    if found is None:
        return Queued("refused", "this contact is not known")
    known, address = found
    expires_at = known.at + (mail.expires_in or EXPIRES_IN)
    verdict = judge(
        tools.settings,
        known,
        category=mail.category,
        notification_category=mail.notification_category,
        expires_at=expires_at,
    )
    status, due_at = status_of(verdict, known.at)
    reason = None if isinstance(verdict, Allowed) else verdict.reason
    email_id = tools.clock.new_id()
    store.insert(
        connection,
        tenant_id,
        NewEmail(
            id=email_id,
            contact_id=known.contact_id,
            rule_id=mail.rule_id,
            run_id=mail.run_id,
            template_id=template.id,
            template_name=template.name,
            language=template.language,
            category=mail.category,
            notification_category=mail.notification_category,
            address=address,
            subject=texts.subject,
            text_body=texts.text,
            html_body=texts.html,
            status=status,
            reason=reason,
            decision=document(verdict, at=known.at, attempt=1, kind=mail.category),
            due_at=due_at,
            expires_at=expires_at,
        ),
        now=now,
    )
    if status == "pending":
        jobs.enqueue(
            connection,
            tenant_id=tenant_id,
            job_type="send_email",
            args={"email_id": str(email_id)},
            scheduled_for=due_at if isinstance(verdict, Deferred) else None,
            now=now,
        )
    return Queued(status, reason, email_id)
