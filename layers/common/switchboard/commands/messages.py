"""messages: what goes out, by hand, and what became of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import AwareDatetime, Field

from switchboard import outbox
from switchboard.commands._given import Object
from switchboard.commands._resource import Command, Resource
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.errors import Unprocessable
from switchboard.outbox.request import read
from switchboard.tools import Tools


class TheMessage(Arguments):
    """One message."""

    message: UUID = Field(description="our id of the message")


class NewMessage(Arguments):
    """A message to send: a text, or any message object of Meta's."""

    number: str = Field(max_length=50, description="phone_number_id of the sending number")
    to: str = Field(max_length=50, description="phone number, or contact id")
    text: str | None = Field(None, description="the text of a text message")
    body: Object | None = Field(None, description="Meta's message object instead, or @file with it")
    category: str | None = Field(None, description="of a template that is not stored yet")
    notification_category: str | None = Field(None, description="what the person may have refused")
    urgent: bool = Field(default=False, description="a utility template that cannot wait")
    expires_at: AwareDatetime | None = Field(None, description="not sent after that time")
    dry_run: bool = Field(default=False, description="only decide, and say why")


def send_message(tools: Tools, tenant_id: UUID, given: NewMessage) -> dict[str, Any]:
    """Send a message, or only decide it; the answer is that of POST /v1/messages."""
    if (given.text is None) == (given.body is None):
        raise Unprocessable("give either text or body", field="text")
    document = given.model_dump(mode="json", exclude_none=True, exclude={"text", "body", "dry_run"})
    document["from"] = document.pop("number")
    document["message"] = given.body or {"type": "text", "text": {"body": given.text}}
    item = read(document, public_url=tools.settings.public_url)
    run = outbox.rehearse if given.dry_run else outbox.send
    answer = run(tools, tenant_id, item)
    return {"status_code": answer.status, **answer.body}


def show_message(tools: Tools, tenant_id: UUID, which: TheMessage) -> dict[str, Any]:
    """Show what became of a message: status, each verdict, errors, times."""
    return outbox.find(tools, tenant_id, which.message)


KIND = Resource(
    "messages",
    "messages that go out",
    (
        Command(
            "send",
            NewMessage,
            send_message,
            '--number 310000000000001 --to +15550002222 --text "Hello" --dry-run',
        ),
        Command("show", TheMessage, show_message, "--message 0d5f3c1e-6f0a-4c55-9d0b-1c8a52f0e0aa"),
    ),
)
