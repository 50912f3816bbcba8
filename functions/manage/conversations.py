"""/v1/conversations: the inbox, and what staff do with a thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar
from uuid import UUID

from pydantic import BaseModel

from switchboard.access import Caller, Guarded
from switchboard.inbox import conversations, messages
from switchboard.kernel.arguments import LIMIT, Nothing, read, read_id, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.tools import Tools

M = TypeVar("M", bound=BaseModel)


def get_conversations(tools: Tools, caller: Caller, request: Request) -> Response:
    """List conversations, the newest first."""
    wanted = read_query(conversations.ConversationFilter, request.query)
    return reply(200, conversations.list_conversations(tools, caller.tenant_id, wanted))


def get_conversation(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show a conversation."""
    return reply(200, conversations.show_conversation(tools, caller.tenant_id, _id(request)))


def get_messages(tools: Tools, caller: Caller, request: Request) -> Response:
    """List the messages of a conversation."""
    conversation_id = _id(request)
    wanted = read_query(messages.ThreadFilter, request.query)
    return reply(200, messages.list_messages(tools, caller.tenant_id, conversation_id, wanted))


def patch_conversation(tools: Tools, caller: Caller, request: Request) -> Response:
    """Change priority and pin."""
    conversation_id, change = _id(request), _body(conversations.ConversationChange, request)
    return reply(
        200, conversations.change_conversation(tools, caller.tenant_id, conversation_id, change)
    )


def post_assign(tools: Tools, caller: Caller, request: Request) -> Response:
    """Give a conversation to a member of staff, or to nobody."""
    conversation_id, given = _id(request), _body(conversations.Assignment, request)
    return reply(200, conversations.assign(tools, caller.tenant_id, conversation_id, given))


def post_tags(tools: Tools, caller: Caller, request: Request) -> Response:
    """Add tags and take them away."""
    conversation_id, change = _id(request), _body(conversations.TagChange, request)
    return reply(200, conversations.tag(tools, caller.tenant_id, conversation_id, change))


def post_read(tools: Tools, caller: Caller, request: Request) -> Response:
    """Mark a conversation as read, here and at Meta."""
    conversation_id, how = _id(request), _body(conversations.Reading, request)
    return reply(200, conversations.read(tools, caller.tenant_id, conversation_id, how))


def post_typing(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show the person that somebody writes, for 25 seconds."""
    conversation_id, _ = _id(request), _body(Nothing, request)
    return reply(200, conversations.show_typing(tools, caller.tenant_id, conversation_id))


def _move(status: conversations.Status, tools: Tools, caller: Caller, request: Request) -> Response:
    conversation_id, _ = _id(request), _body(Nothing, request)
    return reply(200, conversations.move(tools, caller.tenant_id, conversation_id, status))


def _archive(tools: Tools, caller: Caller, request: Request, *, archived: bool) -> Response:
    conversation_id, _ = _id(request), _body(Nothing, request)
    return reply(
        200,
        conversations.archive(tools, caller.tenant_id, conversation_id, archived=archived),
    )


def _id(request: Request) -> UUID:
    return read_id(request.path, "this conversation")


def _body(model: type[M], request: Request) -> M:
    """Read the body; none at all is an empty object, since some verbs need nothing."""
    return read(model, request.json(LIMIT) if request.body(LIMIT).strip() else {})


def _writing(run: Callable[[Tools, Caller, Request], Response]) -> Guarded:
    return Guarded("conversations:write", run)


_ONE = "/v1/conversations/{id}"
ROUTES = {
    "GET /v1/conversations": Guarded("conversations:read", get_conversations),
    f"GET {_ONE}": Guarded("conversations:read", get_conversation),
    f"GET {_ONE}/messages": Guarded("messages:read", get_messages),
    f"PATCH {_ONE}": _writing(patch_conversation),
    f"POST {_ONE}/assign": _writing(post_assign),
    f"POST {_ONE}/tags": _writing(post_tags),
    f"POST {_ONE}/close": _writing(partial(_move, "closed")),
    f"POST {_ONE}/resolve": _writing(partial(_move, "resolved")),
    f"POST {_ONE}/pending": _writing(partial(_move, "pending")),
    f"POST {_ONE}/reopen": _writing(partial(_move, "open")),
    f"POST {_ONE}/spam": _writing(partial(_move, "spam")),
    f"POST {_ONE}/archive": _writing(partial(_archive, archived=True)),
    f"POST {_ONE}/unarchive": _writing(partial(_archive, archived=False)),
    f"POST {_ONE}/read": _writing(post_read),
    f"POST {_ONE}/typing": _writing(post_typing),
}
