"""A template: its name and language, and what its variables, header and buttons need.

What of the template itself allows it, its stored definition tells (`whatsapp.templates`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from switchboard.whatsapp.outbound._base import Part, Reply
from switchboard.whatsapp.outbound.template._components import Components


class Language(Part):
    """The template's language and maybe country: `es`, `es_MX`."""

    code: Annotated[str, Field(pattern=r"^[A-Za-z]{2,8}([_-][A-Za-z0-9]{2,8})*$", max_length=35)]
    policy: Literal["deterministic"] | None = None


class Template(Part):
    """Cloud API, Messages, template object."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$", max_length=512)]
    language: Language
    components: Components | None = None


class TemplateMessage(Reply):
    """`{"type": "template", "template": {"name", "language", "components"?}}`."""

    type: Literal["template"] = "template"
    template: Template


MODEL = TemplateMessage
