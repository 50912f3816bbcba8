"""/v1/accounts: WhatsApp business accounts by their ids at Meta."""

from __future__ import annotations

from switchboard.access import Caller, Guarded
from switchboard.accounts import callbacks
from switchboard.kernel.arguments import LIMIT, Nothing, read, read_meta_id, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.tools import Tools


def get_callback(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show where its webhooks go, as Meta has it now."""
    wanted, _ = _id(request), read_query(Nothing, request.query)
    return reply(200, callbacks.show_account_callback(tools, caller.tenant_id, wanted))


def put_callback(tools: Tools, caller: Caller, request: Request) -> Response:
    """Let its webhooks go to another address."""
    wanted, callback = _id(request), read(callbacks.Callback, request.json(LIMIT))
    return reply(200, callbacks.set_account_callback(tools, caller.tenant_id, wanted, callback))


def delete_callback(tools: Tools, caller: Caller, request: Request) -> Response:
    """Let its webhooks go to the app's own address."""
    wanted = _id(request)
    read(Nothing, request.json(LIMIT) if request.body(LIMIT).strip() else {})
    return reply(200, callbacks.remove_account_callback(tools, caller.tenant_id, wanted))


def _id(request: Request) -> str:
    return read_meta_id(request.path, "this business account")


_CALLBACK = "/v1/accounts/{id}/callback"
ROUTES = {
    f"GET {_CALLBACK}": Guarded("numbers:read", get_callback),
    f"PUT {_CALLBACK}": Guarded("numbers:write", put_callback),
    f"DELETE {_CALLBACK}": Guarded("numbers:write", delete_callback),
}
