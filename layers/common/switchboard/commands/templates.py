"""templates: message templates of business accounts, here and at Meta."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import orjson
from pydantic import BeforeValidator, Field

from switchboard.accounts import template_preview, template_sync, templates
from switchboard.accounts.template_preview import PreviewWanted, TemplatePreview
from switchboard.accounts.template_sync import Synced, SyncWanted
from switchboard.accounts.templates import Deletion, NewTemplate, TemplateChange, TemplateFilter
from switchboard.commands._resource import Command, Resource
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.page import Page
from switchboard.store.templates import Template
from switchboard.tools import Tools


def _json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        raise ValueError("must be a JSON object") from None


Components = list[Annotated[dict[str, Any], BeforeValidator(_json)]]
_COMPONENTS = "each component as JSON, in Meta's shape"


class GivenTemplate(NewTemplate):
    """A template to submit."""

    components: Components = Field(min_length=1, description=_COMPONENTS)


class TheTemplate(Arguments):
    """One template."""

    template: UUID = Field(description="the template's id here")


class ChangedTemplate(TemplateChange, TheTemplate):
    """What to change about a template."""

    components: Components | None = Field(None, description=_COMPONENTS)


class DeletedTemplate(Deletion, TheTemplate):
    """What to delete."""


class ItsPreview(PreviewWanted, TheTemplate):
    """What to fill in."""

    message: Annotated[dict[str, Any] | None, BeforeValidator(_json)] = Field(
        None, description="Meta's message object as JSON; left out: the template's examples"
    )


def list_templates(tools: Tools, tenant_id: UUID, wanted: TemplateFilter) -> Page[Template]:
    """List templates by business account, name and language."""
    return templates.list_templates(tools, tenant_id, wanted)


def show_template(tools: Tools, tenant_id: UUID, which: TheTemplate) -> Template:
    """Show a template."""
    return templates.show_template(tools, tenant_id, which.template)


def sync_templates(tools: Tools, tenant_id: UUID, wanted: SyncWanted) -> Synced:
    """Bring an account's templates from Meta; what takes long goes on in a job."""
    return template_sync.sync_now(tools, tenant_id, wanted)


def create_template(tools: Tools, tenant_id: UUID, given: GivenTemplate) -> Template:
    """Submit a template to Meta."""
    new = NewTemplate.model_validate(given.model_dump(exclude_unset=True))
    return templates.create_template(tools, tenant_id, new)


def update_template(tools: Tools, tenant_id: UUID, given: ChangedTemplate) -> Template:
    """Change a template at Meta, components as a whole."""
    members = given.model_dump(exclude_unset=True, exclude={"template"})
    change = TemplateChange.model_validate(members)
    return templates.edit_template(tools, tenant_id, given.template, change)


def delete_template(tools: Tools, tenant_id: UUID, which: DeletedTemplate) -> Template:
    """Delete a template at Meta, in its language or in all."""
    how = Deletion(all_languages=which.all_languages)
    return templates.delete_template(tools, tenant_id, which.template, how)


def unpause_template(tools: Tools, tenant_id: UUID, which: TheTemplate) -> Template:
    """End a pause that pacing made."""
    return templates.unpause_template(tools, tenant_id, which.template)


def preview_template(tools: Tools, tenant_id: UUID, which: ItsPreview) -> TemplatePreview:
    """Show what a template looks like, filled in or with its examples."""
    wanted = PreviewWanted(message=which.message)
    return template_preview.preview_template(tools, tenant_id, which.template, wanted)


_ID = "--template 6f1d7c52-7f7e-4f27-9d11-3a4f6d1c9b10"
_BODY = '{"type": "BODY", "text": "Your order is ready."}'
KIND = Resource(
    "templates",
    "message templates of business accounts",
    (
        Command(
            "list",
            TemplateFilter,
            list_templates,
            "--status APPROVED",
            ("id", "waba_id", "name", "language", "category", "status", "quality_score"),
        ),
        Command("show", TheTemplate, show_template, _ID),
        Command("sync", SyncWanted, sync_templates, "--waba-id 210000000000001"),
        Command(
            "create",
            GivenTemplate,
            create_template,
            "--waba-id 210000000000001 --name order_ready --category UTILITY --language en_US"
            f" --components '{_BODY}'",
        ),
        Command("update", ChangedTemplate, update_template, f"{_ID} --components '{_BODY}'"),
        Command("delete", DeletedTemplate, delete_template, _ID),
        Command("unpause", TheTemplate, unpause_template, _ID),
        Command("preview", ItsPreview, preview_template, _ID),
    ),
)
