"""What a template looks like to a person, with its own examples or filled in by a message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from pydantic import Field

from switchboard.accounts.templates import show_template
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.errors import Conflict
from switchboard.tools import Tools
from switchboard.whatsapp.errors import InvalidMessage
from switchboard.whatsapp.templates import Definition, Preview, check, render


class PreviewWanted(Arguments):
    """What to fill in."""

    message: dict[str, Any] | None = Field(
        None,
        description="Meta's message object or its `template`; left out: the template's examples",
    )


@dataclass(frozen=True, slots=True)
class TemplatePreview:
    """The picture, and for what the message would be refused: {"field", "detail"} each.

    `warnings` are what the stored definition does not tell.
    """

    preview: Preview
    problems: Sequence[dict[str, Any]]
    warnings: Sequence[str]


def preview_template(
    tools: Tools, tenant_id: UUID, template: UUID, wanted: PreviewWanted
) -> TemplatePreview:
    """Return how the template looks; a message is not sent, and need not fit.

    Raises NotFound, Conflict for a template whose components are not known yet.
    """
    stored = show_template(tools, tenant_id, template)
    if stored.components is None:
        raise Conflict("the components of this template are not known yet: sync the account first")
    definition = Definition.of(asdict(stored))
    message = wanted.message
    if message is None:
        return TemplatePreview(render(definition), (), ())
    if "template" not in message:
        message = {"type": "template", "template": message}
    problems: Sequence[dict[str, Any]] = ()
    warnings: Sequence[str] = ()
    try:
        warnings = check(definition, message)
    except InvalidMessage as error:
        problems = error.extra["errors"]
    return TemplatePreview(render(definition, message), problems, warnings)
