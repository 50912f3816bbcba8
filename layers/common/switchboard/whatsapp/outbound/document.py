"""A file of any kind."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from switchboard.whatsapp.outbound._base import Reply
from switchboard.whatsapp.outbound._media import Captioned


class Document(Captioned):
    """Cloud API, Messages, document: up to 100 MB; the ending of `filename` chooses the icon."""

    filename: Annotated[str, Field(min_length=1)] | None = None


class DocumentMessage(Reply):
    """`{"type": "document", "document": {"id" | "link", "caption"?, "filename"?}}`."""

    type: Literal["document"] = "document"
    document: Document


MODEL = DocumentMessage
