"""Sends one mail; put in with it.

What it does is committed step by step (mail/sending.py), so that a run that is cut short sends
nothing twice. A mail that must wait lets the job wait, without an attempt spent.
"""

from __future__ import annotations

from uuid import UUID

from switchboard.jobs._kind import Args, Context, Effects, JobKind
from switchboard.kernel.errors import NotFound, Snooze

#: For how long the link in a mail leads to the person's preferences.
LINK_DAYS = 366


class SendEmail(Args):
    """The mail."""

    email_id: UUID


def run(context: Context, args: SendEmail) -> Effects:
    """Attempt it. Raises Snooze where it may not go out yet."""
    # Few runs send mails: no cold start pays for them.
    from switchboard import mail
    from switchboard.inbox.preference_links import NewLink, make_link

    tools, tenant_id = context.tools, context.tenant_id

    def page_of(contact_id: UUID) -> str | None:
        if tools.settings.public_url is None or tools.settings.preferences_secret_arn is None:
            return None
        try:
            return make_link(tools, tenant_id, contact_id, NewLink(days=LINK_DAYS)).url
        except NotFound:
            return None  # deleted meanwhile: the policy denies it

    attempted = mail.attempt(tools, tenant_id, args.email_id, unsubscribe=page_of)
    if attempted.again_at is not None:
        raise Snooze(attempted.again_at)
    return Effects(result={"status": attempted.status})


# Cut short before its intent a mail goes out later, however often that happens.
KIND = JobKind(name="send_email", args=SendEmail, run=run, max_attempts=50, needs_s=25.0)
