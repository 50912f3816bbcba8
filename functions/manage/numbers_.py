"""/v1/numbers: business numbers by their ids at Meta, their profiles and callback overrides."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel

from switchboard.access import Caller, Guarded
from switchboard.accounts import callbacks, numbers, profiles
from switchboard.kernel.arguments import LIMIT, Nothing, read, read_meta_id, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.tools import Tools

M = TypeVar("M", bound=BaseModel)


def get_numbers(tools: Tools, caller: Caller, request: Request) -> Response:
    """List numbers."""
    wanted = read_query(numbers.NumberFilter, request.query)
    return reply(200, numbers.list_numbers(tools, caller.tenant_id, wanted))


def get_number(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show a number."""
    return reply(200, numbers.show_number(tools, caller.tenant_id, _id(request)))


def patch_number(tools: Tools, caller: Caller, request: Request) -> Response:
    """Change our settings of a number."""
    wanted, change = _id(request), _body(numbers.NumberChange, request)
    return reply(200, numbers.change_number(tools, caller.tenant_id, wanted, change))


def post_sync(tools: Tools, caller: Caller, request: Request) -> Response:
    """Ask Meta what it knows of a number."""
    wanted, _ = _id(request), _body(Nothing, request)
    return reply(200, numbers.sync_number(tools, caller.tenant_id, wanted))


def get_profile(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show the business profile, as Meta has it now."""
    wanted, _ = _id(request), read_query(Nothing, request.query)
    return reply(200, profiles.show_profile(tools, caller.tenant_id, wanted))


def post_profile(tools: Tools, caller: Caller, request: Request) -> Response:
    """Change the business profile."""
    wanted, change = _id(request), _body(profiles.ProfileChange, request)
    return reply(200, profiles.change_profile(tools, caller.tenant_id, wanted, change))


def get_callback(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show where its webhooks go, as Meta has it now."""
    wanted, _ = _id(request), read_query(Nothing, request.query)
    return reply(200, callbacks.show_callback(tools, caller.tenant_id, wanted))


def put_callback(tools: Tools, caller: Caller, request: Request) -> Response:
    """Let its webhooks go to another address."""
    wanted, callback = _id(request), _body(callbacks.Callback, request)
    return reply(200, callbacks.set_callback(tools, caller.tenant_id, wanted, callback))


def delete_callback(tools: Tools, caller: Caller, request: Request) -> Response:
    """Let its webhooks go where the account's go."""
    wanted, _ = _id(request), _body(Nothing, request)
    return reply(200, callbacks.remove_callback(tools, caller.tenant_id, wanted))


def _id(request: Request) -> str:
    return read_meta_id(request.path, "this number")


def _body(model: type[M], request: Request) -> M:
    """Read the body; none at all is an empty object, since some verbs need nothing."""
    return read(model, request.json(LIMIT) if request.body(LIMIT).strip() else {})


def _reading(run: Callable[[Tools, Caller, Request], Response]) -> Guarded:
    return Guarded("numbers:read", run)


def _writing(run: Callable[[Tools, Caller, Request], Response]) -> Guarded:
    return Guarded("numbers:write", run)


_ONE = "/v1/numbers/{id}"
ROUTES = {
    "GET /v1/numbers": _reading(get_numbers),
    f"GET {_ONE}": _reading(get_number),
    f"PATCH {_ONE}": _writing(patch_number),
    f"POST {_ONE}/sync": _writing(post_sync),
    f"GET {_ONE}/profile": _reading(get_profile),
    f"POST {_ONE}/profile": _writing(post_profile),
    f"GET {_ONE}/callback": _reading(get_callback),
    f"PUT {_ONE}/callback": _writing(put_callback),
    f"DELETE {_ONE}/callback": _writing(delete_callback),
}
