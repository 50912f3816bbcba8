"""/v1/account-events: what Meta told about business accounts, numbers, templates and Flows."""

from __future__ import annotations

from switchboard.access import Caller, Guarded
from switchboard.inbox import account_events
from switchboard.kernel.arguments import read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.tools import Tools


def get_account_events(tools: Tools, caller: Caller, request: Request) -> Response:
    """List events, the newest received first."""
    wanted = read_query(account_events.AccountEventFilter, request.query)
    return reply(200, account_events.list_account_events(tools, caller.tenant_id, wanted))


ROUTES = {"GET /v1/account-events": Guarded("account_events:read", get_account_events)}
