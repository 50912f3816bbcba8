"""email-templates: texts of e-mails."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from switchboard.commands._resource import Command, Resource
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.page import Page, Paged
from switchboard.mail import templates
from switchboard.mail.templates import EmailTemplateChange, NewEmailTemplate
from switchboard.store.email_templates import EmailTemplate
from switchboard.tools import Tools


class TheTemplate(Arguments):
    """One template."""

    template: UUID = Field(description="the template's id")


class ChangedTemplate(EmailTemplateChange, TheTemplate):
    """What to change about a template."""


def list_templates(tools: Tools, tenant_id: UUID, wanted: Paged) -> Page[EmailTemplate]:
    """List templates, the newest first."""
    return templates.list_templates(tools, tenant_id, wanted)


def show_template(tools: Tools, tenant_id: UUID, which: TheTemplate) -> EmailTemplate:
    """Show a template."""
    return templates.show_template(tools, tenant_id, which.template)


def create_template(tools: Tools, tenant_id: UUID, new: NewEmailTemplate) -> EmailTemplate:
    """Make a template of mails."""
    return templates.create_template(tools, tenant_id, new)


def update_template(tools: Tools, tenant_id: UUID, given: ChangedTemplate) -> EmailTemplate:
    """Change a template's texts; mails that wait stay as they are."""
    named = given.model_dump(exclude_unset=True, exclude={"template"})
    change = EmailTemplateChange(**named)
    return templates.change_template(tools, tenant_id, given.template, change)


def delete_template(tools: Tools, tenant_id: UUID, which: TheTemplate) -> EmailTemplate:
    """Forget a template, and show it as it was; rules that name it fail."""
    return templates.delete_template(tools, tenant_id, which.template)


_ID = "--template 6f1d7c52-7f7e-4f27-9d11-3a4f6d1c9b10"
KIND = Resource(
    "email-templates",
    "texts of e-mails",
    (
        Command(
            "list",
            Paged,
            list_templates,
            columns=("id", "name", "language", "subject", "updated_at"),
        ),
        Command("show", TheTemplate, show_template, _ID),
        Command(
            "create",
            NewEmailTemplate,
            create_template,
            '--name trip_reminder --subject "Your trip" --text-body "Hello {{who}}"',
        ),
        Command("update", ChangedTemplate, update_template, f'{_ID} --subject "Your trip soon"'),
        Command("delete", TheTemplate, delete_template, _ID),
    ),
)
