"""Conversations: the inbox, and what staff do with a thread.

What is done is an update guarded by the state it starts from: done twice, or too late, it changes
nothing, and the answer is the conversation as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from switchboard.kernel.arguments import Arguments
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import Conflict, NotFound, Unprocessable
from switchboard.kernel.page import (
    WALK,
    Page,
    Paged,
    as_id,
    as_time,
    read_cursor,
    write_cursor,
)
from switchboard.store import contacts as store_of_contacts
from switchboard.store import conversations as store
from switchboard.store.conversations import Conversation
from switchboard.tools import Tools
from switchboard.transact import transact

Status = Literal["open", "pending", "resolved", "closed", "spam"]
#: From where each verb of staff leads to its state.
STEPS: dict[Status, tuple[Status, ...]] = {
    "open": ("pending", "resolved", "closed", "spam"),
    "pending": ("open",),
    "resolved": ("open", "pending"),
    "closed": ("open", "pending", "resolved", "spam"),
    "spam": ("open", "pending", "resolved", "closed"),
}
#: Tags of one conversation.
MOST_TAGS = 50
#: Messages that one transaction marks as read.
_AT_ONCE = 1_000

Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50)]


def _listed(value: Any) -> Any:
    """Read `open,pending` as the two: a repeated parameter comes joined by commas."""
    return value.split(",") if isinstance(value, str) else value


def _somebody(value: Any) -> Any:
    return None if value == "none" else value


class ConversationFilter(Paged):
    """Which conversations: those that fit everything given."""

    status: Annotated[list[Status], BeforeValidator(_listed)] = Field(
        default=list(get_args(Status)),
        min_length=1,
        description="open, pending, resolved, closed, spam; one or several",
    )
    assigned_user_id: UUID | None = Field(None, description="assigned to this member of staff")
    contact_id: UUID | None = Field(None, description="with this contact")
    number: str | None = Field(None, max_length=50, description="of this phone number id")
    tag: Tag | None = Field(None, description="with this tag")
    unread: bool | None = Field(None, description="with unread messages, or without")
    archived: bool | None = Field(None, description="archived, or not; left out: both")


class Assignment(Arguments):
    """Whom a conversation is given to."""

    user: Annotated[
        Annotated[str, StringConstraints(min_length=1, max_length=320)] | None,
        BeforeValidator(_somebody),
    ] = Field(description="the user's e-mail or id; none (null in JSON): nobody")


class TagChange(Arguments):
    """Tags to add and to take away; one that is in both is taken away."""

    add: list[Tag] = Field(default=[], max_length=MOST_TAGS, description="tags to add")
    remove: list[Tag] = Field(default=[], max_length=MOST_TAGS, description="tags to take away")

    @model_validator(mode="after")
    def _something(self) -> TagChange:
        if not self.add and not self.remove:
            raise ValueError("add or remove must name a tag")
        return self


class ConversationChange(Arguments):
    """How staff keep a conversation."""

    priority: Literal["low", "medium", "high"] | None = Field(
        None, description="low, medium or high"
    )
    is_pinned: bool | None = Field(None, description="whether it is pinned")


class Reading(Arguments):
    """How a conversation is marked as read."""

    typing: bool = Field(default=False, description="show the typing indicator as well")


@dataclass(frozen=True, slots=True)
class Read:
    """A conversation after it was read, and what became of the receipt.

    taken: Meta has it. not_taken: Meta or the number's state refused it, or the person is blocked
    and not to know; here it is read all the same. not_needed: nothing was unread.
    """

    conversation: Conversation
    receipt: Literal["taken", "not_taken", "not_needed"]


def list_conversations(
    tools: Tools, tenant_id: UUID, wanted: ConversationFilter
) -> Page[Conversation]:
    """Return conversations, the one with the newest message first; those without any are last."""

    def read(connection: Connection) -> Page[Conversation]:
        position = read_cursor("conversations", wanted, 2)
        contact_id = wanted.contact_id
        if contact_id is not None:
            # A merged contact's threads are the root's.
            contact_id = store_of_contacts.find_root(connection, tenant_id, contact_id)
            if contact_id is None:
                return Page([], None)
        steps = store.walk(
            connection,
            tenant_id,
            after=None
            if position is None
            else (as_time(position[0]) if position[0] else None, as_id(position[1])),
            # Only what stands above the walk makes it longer than a page.
            walk=wanted.limit + 1 if not _filters(wanted) else WALK,
            limit=wanted.limit,
            statuses=list(dict.fromkeys(wanted.status)),
            contact_id=contact_id,
            user_id=wanted.assigned_user_id,
            number=wanted.number,
            tag=wanted.tag,
            unread=wanted.unread,
            archived=wanted.archived,
        )
        fitting = [step for step in steps if step.matches]
        last = None
        if len(fitting) > wanted.limit:
            fitting = fitting[: wanted.limit]
            last = fitting[-1]
        elif steps and steps[-1].place == WALK:
            last = steps[-1]
        rows = store.load(connection, tenant_id, [step.id for step in fitting], now=tools.clock.now)
        if last is None:
            return Page(rows, None)
        return Page(rows, write_cursor("conversations", wanted, last.last_message_at, last.id))

    return transact(tools, tenant_id, read)


def show_conversation(tools: Tools, tenant_id: UUID, conversation_id: UUID) -> Conversation:
    """Return a conversation; raises NotFound."""
    return transact(
        tools, tenant_id, lambda connection: _show(tools, connection, tenant_id, conversation_id)
    )


def move(tools: Tools, tenant_id: UUID, conversation_id: UUID, status: Status) -> Conversation:
    """Move the conversation to `status` where STEPS leads there, and return it as it stands."""

    def write(connection: Connection) -> Conversation:
        store.set_status(
            connection,
            tenant_id,
            store.find_root(connection, tenant_id, conversation_id),
            status,
            allowed=STEPS[status],
            now=tools.clock.now,
        )
        return _show(tools, connection, tenant_id, conversation_id)

    return transact(tools, tenant_id, write)


def assign(tools: Tools, tenant_id: UUID, conversation_id: UUID, given: Assignment) -> Conversation:
    """Give the conversation to an active member of staff, or to nobody.

    Raises NotFound, Unprocessable for a user who is unknown or disabled.
    """

    def write(connection: Connection) -> Conversation:
        user_id = None
        if given.user is not None:
            user_id = store.find_user(connection, tenant_id, given.user)
            if user_id is None:
                raise Unprocessable("this user is unknown or disabled", field="user")
        root = store.find_root(connection, tenant_id, conversation_id)
        store.assign(connection, tenant_id, root, user_id, now=tools.clock.now)
        return _show(tools, connection, tenant_id, conversation_id)

    return transact(tools, tenant_id, write)


def tag(tools: Tools, tenant_id: UUID, conversation_id: UUID, change: TagChange) -> Conversation:
    """Add and take away tags; raises NotFound, Unprocessable for more than 50."""

    def write(connection: Connection) -> Conversation:
        count = store.tag(
            connection,
            tenant_id,
            store.find_root(connection, tenant_id, conversation_id),
            add=change.add,
            remove=change.remove,
            now=tools.clock.now,
        )
        if count is not None and count > MOST_TAGS:
            raise Unprocessable(f"a conversation has at most {MOST_TAGS} tags", field="add")
        return _show(tools, connection, tenant_id, conversation_id)

    return transact(tools, tenant_id, write)


def archive(
    tools: Tools, tenant_id: UUID, conversation_id: UUID, *, archived: bool
) -> Conversation:
    """Put the conversation away, or take it out again; raises NotFound."""

    def write(connection: Connection) -> Conversation:
        root = store.find_root(connection, tenant_id, conversation_id)
        store.archive(connection, tenant_id, root, archived=archived, now=tools.clock.now)
        return _show(tools, connection, tenant_id, conversation_id)

    return transact(tools, tenant_id, write)


def change_conversation(
    tools: Tools, tenant_id: UUID, conversation_id: UUID, change: ConversationChange
) -> Conversation:
    """Change priority and pin; raises NotFound."""

    def write(connection: Connection) -> Conversation:
        store.change(
            connection,
            tenant_id,
            store.find_root(connection, tenant_id, conversation_id),
            priority=change.priority,
            is_pinned=change.is_pinned,
            now=tools.clock.now,
        )
        return _show(tools, connection, tenant_id, conversation_id)

    return transact(tools, tenant_id, write)


def read(tools: Tools, tenant_id: UUID, conversation_id: UUID, how: Reading) -> Read:
    """Mark everything up to the newest inbound message as read, here and at Meta.

    The receipt goes to Meta with no transaction open; what comes meanwhile stays unread. Raises
    NotFound.
    """
    conversation, newest = _find_newest(tools, tenant_id, conversation_id)
    if newest is None or not (newest.is_unread or how.typing):
        return Read(conversation, "not_needed")
    return _mark_read(tools, tenant_id, conversation.id, conversation_id, newest, typing=how.typing)


def show_typing(tools: Tools, tenant_id: UUID, conversation_id: UUID) -> Read:
    """Show the person that somebody writes: for 25 seconds, or until a message comes.

    Meta marks the newest message as read by the same request, and so it is here. What Meta says
    stands in the receipt and breaks nothing. Raises NotFound, Conflict where the person has written
    nothing in 30 days. (Cloud API, typing indicators.)
    """
    conversation, newest = _find_newest(tools, tenant_id, conversation_id)
    if newest is None:
        raise Conflict("nobody has written here yet: the indicator answers a message")
    if not newest.is_readable:
        raise Conflict("the newest message is more than 30 days old: Meta shows nothing for it")
    return _mark_read(tools, tenant_id, conversation.id, conversation_id, newest, typing=True)


def _find_newest(
    tools: Tools, tenant_id: UUID, conversation_id: UUID
) -> tuple[Conversation, store.Newest | None]:
    def look(connection: Connection) -> tuple[Conversation, store.Newest | None]:
        shown = _show(tools, connection, tenant_id, conversation_id)
        newest = store.find_newest_inbound(connection, tenant_id, shown.id, now=tools.clock.now)
        return shown, newest

    return transact(tools, tenant_id, look)


def _mark_read(
    tools: Tools,
    tenant_id: UUID,
    root: UUID,
    conversation_id: UUID,
    newest: store.Newest,
    *,
    typing: bool,
) -> Read:
    """Mark everything up to `newest` as read, at Meta and in the conversation `root`."""
    # The road of sends is heavy to import, and only this goes along it.
    from switchboard.outbox.receipts import mark_read

    taken = not newest.is_blocked and mark_read(
        tools,
        tenant_id=tenant_id,
        account_id=newest.account_id,
        wa_message_id=newest.wa_message_id,
        typing=typing,
    )
    marked = _AT_ONCE
    while marked == _AT_ONCE:
        marked = transact(
            tools,
            tenant_id,
            lambda connection: store.mark_read(
                connection,
                tenant_id,
                root,
                newest,
                limit=_AT_ONCE,
                now=tools.clock.now,
            ),
        )
    return Read(
        show_conversation(tools, tenant_id, conversation_id), "taken" if taken else "not_taken"
    )


def _filters(wanted: ConversationFilter) -> bool:
    return any(
        value is not None for value in (wanted.number, wanted.tag, wanted.unread, wanted.archived)
    )


def _show(
    tools: Tools, connection: Connection, tenant_id: UUID, conversation_id: UUID
) -> Conversation:
    root = store.find_root(connection, tenant_id, conversation_id)
    rows = store.load(connection, tenant_id, [root], now=tools.clock.now)
    if not rows:
        raise NotFound("this conversation is not known")
    return rows[0] if root == conversation_id else replace(rows[0], merged_from=conversation_id)
