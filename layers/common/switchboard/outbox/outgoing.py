"""A message somebody wants to send, before anything is decided or stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from switchboard.policy import Kind, kind_of


class Origin(StrEnum):
    """Who says it (whatsapp_messages.origin)."""

    API = "api"
    CHATBOT = "chatbot"
    AI_AGENT = "ai_agent"
    CAMPAIGN = "campaign"
    AUTOMATION = "automation"


#: Replies go before automations, automations before bulk.
REPLIES, AUTOMATIONS, BULK = 10, 20, 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One message on its way into the outbox.

    `phone` holds digits as the caller wrote them, `contact_id` is the other way to name somebody;
    exactly one is given. `message` is Meta's message object, checked already. `key` is the caller's
    idempotency key and `sha256` the digest of the request it belongs to. `effects` are documents
    {"k": kind, …} of what is written in the transaction that stores the message (outbox/effects).
    `track_links`: its buttons lead through links of ours. `confirms_consent`: the one sentence that
    answers a STOP.
    """

    phone_number_id: str
    phone: str | None = None
    contact_id: UUID | None = None
    message: dict[str, Any]
    category: str | None = None
    notification_category: str | None = None
    urgent: bool = False
    expires_at: datetime | None = None
    metadata: dict[str, Any] | None = None
    origin: Origin = Origin.API
    origin_id: UUID | None = None
    key: str | None = None
    sha256: bytes = b""
    warnings: tuple[str, ...] = field(default=())
    effects: tuple[dict[str, Any], ...] = ()
    confirms_consent: bool = False
    track_links: bool = False

    @property
    def type(self) -> str:
        """Meta's word for the message."""
        return str(self.message["type"])

    def kind(self, stored: str | None) -> Kind:
        """Return which gates apply; `stored` is the category that Meta has given the template."""
        return kind_of(self.type, stored or self.category)

    def priority(self, kind: Kind) -> int:
        """Return its place in the queue."""
        if self.origin is Origin.CAMPAIGN or kind is Kind.MARKETING:
            return BULK
        return AUTOMATIONS if self.origin is Origin.AUTOMATION else REPLIES

    @property
    def template(self) -> tuple[str, str] | None:
        """The name and the language (with `_`) of the template that it is."""
        if self.type != "template":
            return None
        named = self.message["template"]
        return named["name"], named["language"]["code"].replace("-", "_")

    @property
    def content(self) -> Any:
        """What is stored: Meta's object of the type's name, without one the whole message."""
        return self.message.get(self.type, self.message)

    @property
    def context(self) -> str | None:
        """Meta's id of the message that this one answers."""
        context = self.message.get("context")
        target = context.get("message_id") if isinstance(context, dict) else None
        return target if isinstance(target, str) else None

    @property
    def preview(self) -> str:
        """What an inbox shows of it, at most 200 characters."""
        content = self.content
        known: list[Any] = []
        if isinstance(content, dict):
            body = content.get("body")
            # An interactive message's body is an object with a text.
            known.append(body.get("text") if isinstance(body, dict) else body)
            known += [content.get(key) for key in ("caption", "emoji", "name", "filename")]
        shown = next((one for one in known if isinstance(one, str) and one), f"[{self.type}]")
        return shown[:200]
