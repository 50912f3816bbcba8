"""conversations: the inbox, and what staff do with a thread."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import Field

from switchboard.commands._resource import Command, Resource
from switchboard.inbox import conversations, messages
from switchboard.inbox.conversations import (
    Assignment,
    ConversationChange,
    ConversationFilter,
    Read,
    Reading,
    Status,
    TagChange,
)
from switchboard.inbox.messages import ThreadFilter
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.page import Page
from switchboard.store.conversations import Conversation
from switchboard.tools import Tools


class TheConversation(Arguments):
    """One conversation."""

    conversation: UUID = Field(description="the conversation's id")


class Thread(ThreadFilter, TheConversation):
    """A conversation and which way through it."""


class AssignedConversation(Assignment, TheConversation):
    """A conversation and whom it is given to."""


class TaggedConversation(TagChange, TheConversation):
    """A conversation and its tags."""


class ChangedConversation(ConversationChange, TheConversation):
    """A conversation and how it is kept."""


class ReadConversation(Reading, TheConversation):
    """A conversation that was read."""


def list_conversations(
    tools: Tools, tenant_id: UUID, wanted: ConversationFilter
) -> Page[Conversation]:
    """List conversations, the one with the newest message first."""
    return conversations.list_conversations(tools, tenant_id, wanted)


def show_conversation(tools: Tools, tenant_id: UUID, which: TheConversation) -> Conversation:
    """Show a conversation."""
    return conversations.show_conversation(tools, tenant_id, which.conversation)


def list_messages(tools: Tools, tenant_id: UUID, wanted: Thread) -> Page[dict[str, Any]]:
    """List the messages of a conversation, both directions."""
    return messages.list_messages(
        tools, tenant_id, wanted.conversation, _without(ThreadFilter, wanted)
    )


def assign(tools: Tools, tenant_id: UUID, given: AssignedConversation) -> Conversation:
    """Give a conversation to a member of staff, or to nobody."""
    return conversations.assign(tools, tenant_id, given.conversation, _without(Assignment, given))


def tag(tools: Tools, tenant_id: UUID, given: TaggedConversation) -> Conversation:
    """Add tags and take them away."""
    return conversations.tag(tools, tenant_id, given.conversation, _without(TagChange, given))


def update(tools: Tools, tenant_id: UUID, given: ChangedConversation) -> Conversation:
    """Change priority and pin."""
    return conversations.change_conversation(
        tools, tenant_id, given.conversation, _without(ConversationChange, given)
    )


def read(tools: Tools, tenant_id: UUID, given: ReadConversation) -> Read:
    """Mark a conversation as read, here and at Meta."""
    return conversations.read(tools, tenant_id, given.conversation, _without(Reading, given))


def show_typing(tools: Tools, tenant_id: UUID, which: TheConversation) -> Read:
    """Show the person for 25 seconds that somebody writes; marks as read, too."""
    return conversations.show_typing(tools, tenant_id, which.conversation)


def archive(tools: Tools, tenant_id: UUID, which: TheConversation) -> Conversation:
    """Put a conversation away."""
    return conversations.archive(tools, tenant_id, which.conversation, archived=True)


def unarchive(tools: Tools, tenant_id: UUID, which: TheConversation) -> Conversation:
    """Take a conversation out again."""
    return conversations.archive(tools, tenant_id, which.conversation, archived=False)


def close(tools: Tools, tenant_id: UUID, which: TheConversation) -> Conversation:
    """Close a conversation; the person's next message opens it again."""
    return _move(tools, tenant_id, which, "closed")


def resolve(tools: Tools, tenant_id: UUID, which: TheConversation) -> Conversation:
    """Call an open or pending conversation resolved."""
    return _move(tools, tenant_id, which, "resolved")


def pending(tools: Tools, tenant_id: UUID, which: TheConversation) -> Conversation:
    """Let an open conversation wait."""
    return _move(tools, tenant_id, which, "pending")


def reopen(tools: Tools, tenant_id: UUID, which: TheConversation) -> Conversation:
    """Open a conversation again."""
    return _move(tools, tenant_id, which, "open")


def spam(tools: Tools, tenant_id: UUID, which: TheConversation) -> Conversation:
    """Call a conversation spam."""
    return _move(tools, tenant_id, which, "spam")


def _move(tools: Tools, tenant_id: UUID, which: TheConversation, status: Status) -> Conversation:
    return conversations.move(tools, tenant_id, which.conversation, status)


def _without(model: Any, given: TheConversation) -> Any:
    """Return the arguments of the use case: all but the id."""
    return model.model_validate(given.model_dump(exclude_unset=True, exclude={"conversation"}))


_ID = "--conversation 0d5f3c1e-6f0a-4c55-9d0b-1c8a52f0e0aa"
KIND = Resource(
    "conversations",
    "threads of a number with a person or a group",
    (
        Command(
            "list",
            ConversationFilter,
            list_conversations,
            "--status open pending --unread",
            (
                "id",
                "status",
                "unread_count",
                "last_message_at",
                "last_message_direction",
                "last_message_preview",
                "phone_number_id",
                "assigned_user_id",
                "tags",
            ),
        ),
        Command("show", TheConversation, show_conversation, _ID),
        Command(
            "messages",
            Thread,
            list_messages,
            f"{_ID} --order oldest_first",
            ("id", "occurred_at", "direction", "origin", "message_type", "status", "content"),
        ),
        Command("assign", AssignedConversation, assign, f"{_ID} --user ana@acme.example"),
        Command("tag", TaggedConversation, tag, f"{_ID} --add vip --remove new"),
        Command("update", ChangedConversation, update, f"{_ID} --priority high --is-pinned"),
        Command("read", ReadConversation, read, _ID),
        Command("typing", TheConversation, show_typing, _ID),
        Command("close", TheConversation, close, _ID),
        Command("resolve", TheConversation, resolve, _ID),
        Command("pending", TheConversation, pending, _ID),
        Command("reopen", TheConversation, reopen, _ID),
        Command("spam", TheConversation, spam, _ID),
        Command("archive", TheConversation, archive, _ID),
        Command("unarchive", TheConversation, unarchive, _ID),
    ),
)
