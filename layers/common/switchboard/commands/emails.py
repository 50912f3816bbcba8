"""emails: what went out by e-mail, and addresses that get nothing more."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from switchboard.commands._resource import Command, Resource
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.page import Page, Paged
from switchboard.mail import look
from switchboard.mail.look import EmailFilter, Lift
from switchboard.store.emails import Email, Suppression, WholeEmail
from switchboard.tools import Tools


class TheEmail(Arguments):
    """One mail."""

    email: UUID = Field(description="the mail's id")


class Lifted(Lift):
    """Which suppression, and why it is lifted."""

    suppression: UUID = Field(description="the suppression's id")


def list_emails(tools: Tools, tenant_id: UUID, wanted: EmailFilter) -> Page[Email]:
    """List mails, the newest first."""
    return look.list_emails(tools, tenant_id, wanted)


def show_email(tools: Tools, tenant_id: UUID, which: TheEmail) -> WholeEmail:
    """Show a mail with its texts, why it was decided as it was, and what SES told of it."""
    return look.show_email(tools, tenant_id, which.email)


def list_suppressions(tools: Tools, tenant_id: UUID, wanted: Paged) -> Page[Suppression]:
    """List addresses that get nothing more: mail came back for good, or was called spam."""
    return look.list_suppressions(tools, tenant_id, wanted)


def lift(tools: Tools, tenant_id: UUID, given: Lifted) -> Suppression:
    """Let an address get mails again; after a complaint only if the person says so."""
    return look.lift_suppression(tools, tenant_id, given.suppression, Lift(wording=given.wording))


KIND = Resource(
    "emails",
    "what went out by e-mail",
    (
        Command(
            "list",
            EmailFilter,
            list_emails,
            "--status bounced",
            ("created_at", "id", "template_name", "address", "status", "reason"),
        ),
        Command("show", TheEmail, show_email, "--email 6f1d7c52-7f7e-4f27-9d11-3a4f6d1c9b10"),
        Command(
            "suppressions",
            Paged,
            list_suppressions,
            columns=("created_at", "id", "address", "reason", "detail"),
        ),
        Command(
            "lift",
            Lifted,
            lift,
            "--suppression 6f1d7c52-7f7e-4f27-9d11-3a4f6d1c9b10"
            ' --wording "asked for mails again, on the phone"',
        ),
    ),
)
